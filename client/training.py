"""One instruction, answered: check, reserve, evaluate, contribute, mask, store, settle, reply."""

from __future__ import annotations

import logging
import math
import os
import time
from dataclasses import dataclass, replace

from client import booking, gate, secure
from client.filling import filling
from client.hospital import Cohort, Settings, cohort
from client.memory import Memory, Store
from client.secure import Masking
from ground.arrays import Array
from ground.errors import PrivacyError, StudyError
from privacy.accountant import Accountant, Event
from privacy.plan import PrivacyPlan
from privacy.randomness import Stream, secret_key, seeded_key
from privacy.secagg import Encoding, HospitalSide
from tasks.contract import Task
from tasks.gap import count_for
from tasks.learners import learner_for
from tasks.learners.contract import Contribution, Learner, Visit
from tasks.learners.model import evaluate
from tasks.messages import Instruction, Reply
from tasks.registry import find
from tasks.study import Study, parse

log = logging.getLogger("laennec.client")
# A release without noise.
BARE = Event(1.0, 0.0)


@dataclass(frozen=True)
class Asked:
    """One instruction with all that it is answered from."""

    instruction: Instruction
    settings: Settings
    study: Study
    task: Task
    plan: PrivacyPlan | None
    memory: Memory

    @property
    def counting(self) -> bool:
        """Whether it is the patients that are counted."""
        return self.instruction.phase in gate.COUNTING

    @property
    def contributes(self) -> bool:
        """Whether the answer holds a contribution: a count is one where something is made of it."""
        counted = "count" if self.study.secure else "enrol"
        phase = self.instruction.phase
        return phase == "train" or (phase == counted and (self.plan is not None or self.study.fills))

    @property
    def event(self) -> Event | None:
        """What the contribution costs, without privacy ε = ∞; None where there is no contribution."""
        if not self.contributes:
            return None
        if self.plan is None:
            return BARE
        if self.counting:
            return self.plan.count_event()
        return self.plan.step_event(self.plan.steps // self.study.rounds)

    @property
    def side(self) -> HospitalSide:
        """This hospital's side of secure aggregation; raises PrivacyError before it announced its keys."""
        if self.memory.secure is None:
            raise PrivacyError("secure aggregation begins with enrolment: this hospital has no keys yet")
        return self.memory.secure


def answer(instruction: Instruction, settings: Settings, store: Store) -> Reply:
    """The reply to an instruction; raises LaennecError where there cannot be one.

    What is released is reserved in the ε book before a patient is read; the reply is stored before it is
    returned, and returned again if the same is asked again.
    """
    started = time.perf_counter()
    study = _study(instruction)
    task = find(study.task, study.task_version, study.options)
    asked = Asked(instruction, settings, study, task, study.plan(), store.load())
    kept = study.secure or instruction.phase != "report"  # a plain report can be computed again
    if kept and (stored := asked.memory.answer_to(instruction)) is not None:
        if stored.vector is not None:  # whoever crashed after storing it had no time to settle
            with booking.open_book(settings) as book:
                book.settle(study, instruction.sum_number, asked.event)
        return stored
    _check_trust(asked)
    with booking.open_book(settings) as book:
        if instruction.phase == "enrol":
            book.check(study, asked.plan)
        masking = _masking(asked)
        if masking is not None and not masking.takes_part:
            side, said = secure.prepare_next(masking, settings)
            reply, memory = replace(_reply(asked), secure=said), replace(asked.memory, secure=side)
        elif instruction.phase in secure.ANSWERS:
            side, said = secure.ANSWERS[instruction.phase](asked.side, instruction, settings)
            reply, memory = replace(_reply(asked), secure=said), replace(asked.memory, secure=side)
        else:
            book.reserve(study, instruction.sum_number, asked.event)
            reply, memory = _visited(asked, masking)
        reply = replace(reply, seconds=time.perf_counter() - started, spent=book.spent_on(study))
        reply = gate.let_out(reply, settings)
        book.disclose(study, instruction.sum_number, reply)
        if kept and (reply.vector is not None or reply.secure) and (asked.plan is not None or memory.arrays):
            store.save(replace(memory, stage=instruction.stage, reply=reply))
        book.settle(study, instruction.sum_number, asked.event if reply.vector is not None else None)
    return reply


def _study(instruction: Instruction) -> Study:
    """The study that the message carries, held against the digest that it claims."""
    study = parse(instruction.study)
    if study.digest != instruction.digest:
        raise StudyError("the study's text does not have the digest that was sent with it: refused")
    return study


def _check_trust(asked: Asked) -> None:
    shared = asked.plan is not None and asked.plan.noise == "distributed" and not asked.study.secure
    if shared and not asked.settings.trusts_sum:
        raise PrivacyError(
            "this hospital trusts no sum, and the study's noise is complete only in the sum: "
            'ask for secure-aggregation = true, or noise = "local"'
        )


def _masking(asked: Asked) -> Masking | None:
    """The secure sum that the instruction opens, checked; None where it opens none."""
    if not asked.study.secure or asked.instruction.phase not in ("count", "train", "report"):
        return None
    return secure.open_sum(asked.side, asked.instruction, asked.settings, asked.study.rounds)


def _reply(asked: Asked) -> Reply:
    """What every reply says."""
    instruction = asked.instruction
    return Reply(
        hospital=asked.settings.name,
        phase=instruction.phase,
        digest=instruction.digest,
        round=instruction.round,
        worker=str(os.getpid()),
    )


def _visited(asked: Asked, masking: Masking | None) -> tuple[Reply, Memory]:
    """The reply for which patients are read, and what is kept."""
    instruction, memory = asked.instruction, asked.memory
    patients = cohort(asked.task.name, asked.settings.sources, asked.study.labels)
    count = len(patients.training) + len(patients.test)
    reply = replace(_reply(asked), patients=count, quarantined=patients.quarantined)
    learner = learner_for(asked.task, asked.study)
    if instruction.phase in ("train", "report"):
        reply = replace(reply, metrics=_metrics(asked.task, learner, instruction, memory, patients))
    contribution = None
    if asked.contributes:
        shares, encoding = _terms(asked, masking)
        contribution, arrays = _contribute(asked, learner, patients, shares, encoding)
        if contribution.confined:  # sensitive: said in this hospital's own log and nowhere else
            log.warning("%d values of the sum were beyond its words and cut", contribution.confined)
        gate.check(contribution, asked.plan, instruction, shares)
        spent = _spend(memory.accountant, contribution, asked.plan, asked.event, instruction)
        memory = replace(memory, arrays={**memory.arrays, **arrays}, accountant=spent)
        reply = replace(reply, vector=contribution.vector, noise=contribution.noise)
    if asked.study.secure and instruction.phase == "enrol":
        side, said = secure.begin(instruction, asked.settings)
        return replace(reply, secure=said), replace(memory, secure=side)
    if masking is not None:
        return _masked(asked, masking, reply, memory, contribution)
    return reply, memory


def _masked(
    asked: Asked,
    masking: Masking,
    reply: Reply,
    memory: Memory,
    contribution: Contribution | None,
) -> tuple[Reply, Memory]:
    """The same reply with its numbers as masked words of one sum."""
    if asked.plan is None:
        raise PrivacyError("a study without privacy has no secure sum")
    encoding = secure.encoding(masking, asked.plan, counting=asked.counting)
    if contribution is not None:
        secure.check_fit(contribution, asked.plan, encoding, masking.roster.fewest)
    shown = asked.settings.discloses or asked.settings.sums_metrics
    metrics = reply.metrics if shown else dict.fromkeys(reply.metrics, math.nan)
    # A task's own learner may still need the vector that it gave, wherever it keeps it.
    spare = asked.task.learner is None and secure.spare(contribution, memory.arrays)
    words = secure.words_of(contribution, metrics, encoding, overwrite=spare)
    side, said = secure.mask(masking, words, asked.settings)
    return replace(reply, vector=words, secure=said, summed=tuple(sorted(reply.metrics))), replace(
        memory, secure=side
    )


def _metrics(
    task: Task, learner: Learner, instruction: Instruction, memory: Memory, patients: Cohort
) -> dict[str, float]:
    """Of the incoming model, so that one message both evaluates and trains."""
    model = learner.model_at_hospital(instruction.published, memory.arrays)
    return evaluate(task, model, patients.test)


def _terms(asked: Asked, masking: Masking | None) -> tuple[int, Encoding | None]:
    """How many shares of distributed noise are sure to be in the sum, and how a secure one is encoded."""
    if masking is None or asked.plan is None:
        return asked.instruction.hospitals, None
    return masking.roster.fewest, secure.encoding(masking, asked.plan, counting=asked.counting)


def _contribute(
    asked: Asked, learner: Learner, patients: Cohort, shares: int, encoding: Encoding | None
) -> tuple[Contribution, dict[str, Array]]:
    study, settings, instruction = asked.study, asked.settings, asked.instruction
    key = secret_key() if settings.secret_noise else seeded_key(study.seed, study.digest, settings.name)
    visit = Visit(
        published=instruction.published,
        patients=patients.training,
        memory=asked.memory.arrays,
        stream=Stream(key, instruction.phase, instruction.round),
        shares=shares,
        plan=asked.plan,
        step=0.0 if encoding is None else encoding.step,
        box=math.inf if encoding is None else encoding.box,
        done=max(0, instruction.round - 1) / study.rounds,
    )
    if asked.counting:
        return count_for(asked.task, study).contribute(visit)
    digital = filling(asked.task, study, settings.name, instruction.published, instruction.round)
    return learner.contribute(replace(visit, digital=digital))


def _spend(
    accountant: Accountant,
    contribution: Contribution,
    plan: PrivacyPlan | None,
    event: Event | None,
    instruction: Instruction,
) -> Accountant:
    """The history with this round's releases; raises PrivacyError beyond what the plan was designed for."""
    if plan is None or event is None:
        return accountant
    spent = accountant.spend(event)
    if contribution.releases != event.times or _released(spent, event) > _released(plan.cost(), event):
        raise PrivacyError(
            f"round {instruction.round} would release more than the count of patients and the {plan.steps} "
            f"steps that epsilon {plan.epsilon:g} pays for: refused"
        )
    return spent


def _released(accountant: Accountant, like: Event) -> int:
    """How many sums of that sampling rate and noise were released, in whatever order with others."""
    kind = (like.sampling_rate, like.noise_multiplier)
    return sum(e.times for e in accountant.events if (e.sampling_rate, e.noise_multiplier) == kind)
