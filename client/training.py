"""One instruction, answered: check, evaluate, contribute, account, store, reply."""

from __future__ import annotations

import os
import time
from dataclasses import replace

from client import gate
from client.hospital import Cohort, Settings, cohort
from client.memory import Memory, Store
from ground.arrays import Array
from ground.errors import PrivacyError, StudyError
from privacy.accountant import Accountant, Event
from privacy.plan import PrivacyPlan
from privacy.randomness import Stream, secret_key, seeded_key
from tasks.contract import Task
from tasks.learners import learner_for
from tasks.learners.contract import Contribution, Learner, Visit
from tasks.learners.model import evaluate
from tasks.learners.statistics import count_of_patients
from tasks.messages import Instruction, Reply
from tasks.registry import find
from tasks.study import Study, parse


def answer(instruction: Instruction, settings: Settings, store: Store) -> Reply:
    """The reply to an instruction; raises LaennecError where there cannot be one.

    The reply is stored before it is returned, and returned again if the same round is asked again.
    """
    started = time.perf_counter()
    study = _study(instruction)
    task = find(study.task, study.task_version)
    memory = store.load()
    if instruction.phase != "report":
        stored = memory.answer_to(instruction.round)
        if stored is not None:
            return stored
    plan = study.plan()
    if plan is not None and plan.noise == "distributed" and not settings.trusts_sum:
        raise PrivacyError(
            "this hospital trusts no sum, and the study's noise is complete only in the sum: "
            'ask for noise = "local"'
        )
    patients = cohort(task.name, settings.sources)
    reply = Reply(
        hospital=settings.name,
        phase=instruction.phase,
        digest=instruction.digest,
        round=instruction.round,
        patients=len(patients.training) + len(patients.test),
        quarantined=patients.quarantined,
        worker=str(os.getpid()),
    )
    learner = learner_for(task, study)
    if instruction.phase != "enrol":
        reply = replace(reply, metrics=_metrics(task, learner, instruction, memory, patients))
    if instruction.phase == "train" or (instruction.phase == "enrol" and plan is not None):
        contribution, arrays = _contribute(study, learner, instruction, settings, memory, patients, plan)
        gate.check(contribution, plan, instruction)
        reply = replace(reply, vector=contribution.vector, noise=contribution.noise)
        accountant = _spend(memory.accountant, contribution, plan, instruction)
        memory = Memory(instruction.round, {**memory.arrays, **arrays}, accountant)
    reply = gate.let_out(replace(reply, seconds=time.perf_counter() - started), settings)
    if reply.vector is not None and (plan is not None or memory.arrays):  # a report replaces no round's reply
        store.save(replace(memory, reply=reply))
    return reply


def _study(instruction: Instruction) -> Study:
    """The study that the message carries, held against the digest that it claims."""
    study = parse(instruction.study)
    if study.digest != instruction.digest:
        raise StudyError("the study's text does not have the digest that was sent with it: refused")
    return study


def _metrics(
    task: Task, learner: Learner, instruction: Instruction, memory: Memory, patients: Cohort
) -> dict[str, float]:
    """Of the incoming model, so that one message both evaluates and trains."""
    model = learner.model_at_hospital(instruction.published, memory.arrays)
    return evaluate(task, model, patients.test)


def _contribute(
    study: Study,
    learner: Learner,
    instruction: Instruction,
    settings: Settings,
    memory: Memory,
    patients: Cohort,
    plan: PrivacyPlan | None,
) -> tuple[Contribution, dict[str, Array]]:
    key = secret_key() if settings.secret_noise else seeded_key(study.seed, study.digest, settings.name)
    visit = Visit(
        published=instruction.published,
        patients=patients.training,
        memory=memory.arrays,
        stream=Stream(key, instruction.phase, instruction.round),
        hospitals=instruction.hospitals,
        plan=plan,
    )
    return (count_of_patients() if instruction.phase == "enrol" else learner).contribute(visit)


def _spend(
    accountant: Accountant, contribution: Contribution, plan: PrivacyPlan | None, instruction: Instruction
) -> Accountant:
    """The history with this round's releases; raises PrivacyError beyond what the plan was designed for."""
    if plan is None:
        return accountant
    enrolling = instruction.phase == "enrol"
    event = plan.count_event() if enrolling else plan.step_event(contribution.releases)
    spent = accountant.spend(event)
    if _released(spent, event) > _released(plan.cost(), event):
        raise PrivacyError(
            f"round {instruction.round} would release more than the count of patients and the {plan.steps} "
            f"steps that epsilon {plan.epsilon:g} pays for: refused"
        )
    return spent


def _released(accountant: Accountant, like: Event) -> int:
    """How many sums of that sampling rate and noise were released, in whatever order with others."""
    kind = (like.sampling_rate, like.noise_multiplier)
    return sum(e.times for e in accountant.events if (e.sampling_rate, e.noise_multiplier) == kind)
