"""The audit of a study on this machine: the study's own learners, attacked; the worst case reported first.

`audit.json` holds every measurement; the findings go into the result, the privacy card and the report of the
study, which are written again, each whole or not at all. Runs are seeds 1, 2, …: none is chosen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from client.audit.canaries import CANARIES, CONFIDENCE, one_run
from client.audit.inversion import DRAWS, Inverted, reconstruct, victims_of
from client.audit.membership import SHADOWS, Inferred, infer
from client.audit.rehearsal import Hospitals, Terms
from client.evaluation import load_model
from client.gallery import galleries
from client.hospital import Settings, cohort
from deploy import origin
from deploy.federation import Machine
from deploy.run import HOSPITALS, resumes_at, run
from ground.errors import TaskError, UsageError
from ground.files import write_atomically
from privacy.audit.membership import largest_auc
from server.events import Event
from server.report.audit import CANNOT_SHOW, findings
from server.report.card import with_audit
from server.report.page import Shown, page
from server.results import READABLE, to_json
from tasks.registry import find
from tasks.study import Study

RUNS = 20
Values = dict[str, Any]
# Starts a bar of so many steps and gives what moves it.
Begin = Callable[[str, int], Callable[[], None]]


def _unseen(label: str, total: int) -> Callable[[], None]:  # noqa: ARG001
    return lambda: None


@dataclass(frozen=True)
class Audited:
    """A study with its audit, as the files hold them."""

    result: Values
    card: Values
    audit: Values

    @property
    def holds(self) -> bool:
        """Whether nothing that was found of the study itself goes beyond what it claims."""
        return all(each["holds"] is not False for each in self.audit["findings"] if each["study"])


def finished(study: Study, hospitals: Sequence[Settings], out: Path) -> tuple[Values, Values] | None:
    """Result and card of this very study over these hospitals, where `out` holds them; else None."""
    try:
        result = json.loads((out / "result.json").read_text(encoding="utf-8"))
        card = json.loads((out / "privacy.json").read_text(encoding="utf-8"))
        names = [each["name"] for each in result["hospitals"]]
        same = result["digest"] == study.digest and sorted(names) == sorted(each.name for each in hospitals)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (result, card) if same and origin.is_of(out / HOSPITALS, hospitals) else None


def audit(
    study: Study,
    hospitals: Sequence[Settings],
    out: Path,
    *,
    runs: int = RUNS,
    shadows: int = SHADOWS,
    machine: Machine = Machine(),  # noqa: B008
    watch: Callable[[Event], None] | None = None,
    begin: Begin = _unseen,
) -> Audited:
    """Run the study unless `out` holds its result, attack it, and write audit.json and the study's files.

    Raises LaennecError where the study cannot be run, or learns in a way that these attacks do not know.
    """
    found = finished(study, hospitals, out)
    if found is None:
        resumes_at(study, out)  # refuses a folder that holds another study's unfinished run
        done = run(study, hospitals, machine, out, watch)
        found = (done.result, done.card)
    result, card = found
    audited = attack(study, hospitals, runs=runs, shadows=shadows, begin=begin)
    written = Audited({**result, "audit": audited}, with_audit(card, audited), audited)
    write_atomically(out / "audit.json", to_json(audited), READABLE)
    write_atomically(out / "privacy.json", to_json(written.card), READABLE)
    write_atomically(
        out / "report.html", page(written.result, written.card, _shown(study, hospitals, out)), READABLE
    )
    write_atomically(out / "result.json", to_json(written.result), READABLE)
    return written


def _shown(study: Study, hospitals: Sequence[Settings], out: Path) -> Shown:
    """The pictures of the study's report, made again from its model."""
    task = find(study.task, study.task_version, study.options)
    if task.gallery is None:
        return {}
    return {"": galleries(task, load_model(out / "model.safetensors", task), hospitals, study.labels)}


def attack(
    study: Study,
    hospitals: Sequence[Settings],
    *,
    runs: int = RUNS,
    shadows: int = SHADOWS,
    begin: Begin = _unseen,
) -> Values:
    """All attacks on a study, as plain values for JSON; the findings worst first."""
    started = time.perf_counter()
    torch.set_num_threads(1)  # as at a hospital: sums in one order
    terms = Terms.of(study, study.seed)
    if not terms.learns_by_gradients():
        raise UsageError(f"task {study.task} does not learn by gradients: these attacks are on gradients")
    patients = {each.name: cohort(terms.task.name, each.sources, study.labels).training for each in hospitals}
    skipped: list[str] = []
    plan = terms.plan
    measured: Values = {
        "study": study.name,
        "digest": study.digest,
        "private": plan is not None,
        "epsilon": None if plan is None else plan.cost().epsilon(plan.delta),
        "delta": None if plan is None else plan.delta,
        "canaries": _canaries(study, patients, runs, begin, skipped),
        "membership": _membership(terms, patients, shadows, begin),
        "inversion": _inversion(terms, list(patients), begin, skipped),
    }
    return {
        **measured,
        "findings": findings(measured),
        "skipped": skipped,
        "cannot_show": CANNOT_SHOW,
        "seconds": time.perf_counter() - started,
    }


def _canaries(
    study: Study, patients: Hospitals, runs: int, begin: Begin, skipped: list[str]
) -> Values | None:
    """The one-run audit for seeds 1 to `runs`, with the study's noise and with the noise taken out."""
    if study.privacy is None:
        skipped.append("canaries: not put in, as the study claims no epsilon to hold a bound against")
        return None
    claim = "sum" if study.privacy.noise == "distributed" else "each"
    rows: list[Values] = []
    guesses = 0
    claims: dict[str, float] = {}
    terms = [Terms.of(study, seed) for seed in range(1, runs + 1)]
    for noise in (True, False):
        step = begin("canaries" if noise else "canaries, noise taken out", runs * study.rounds)
        every = [one_run(each if noise else each.without_noise(), patients, CANARIES, step) for each in terms]
        guesses = next(iter(every[0].values())).guesses
        if noise:
            claims = {sees: sight.claim for sees, sight in every[0].items()}
        for sees in every[0] if noise else (claim,):
            rows.append(
                {
                    "sees": sees,
                    "noise": noise,
                    "claimed": sees == claim,
                    "seen": sees == claim or not study.privacy.secure_aggregation,
                    "claim": claims[sees],
                    "bounds": [each[sees].bound for each in every],
                    "correct": [each[sees].correct for each in every],
                    "at_clip": min(each[sees].at_clip for each in every),
                }
            )
    return {
        "canaries": CANARIES,
        "guesses": guesses,
        "runs": runs,
        "confidence": CONFIDENCE,
        "sights": rows,
    }


def _membership(terms: Terms, patients: Hospitals, shadows: int, begin: Begin) -> Values:
    """The likelihood-ratio attack on the study's model, and on that of the study without privacy."""
    models = []
    for each in _with_and_without(terms):
        label = "shadow models" if each.plan is not None else "shadow models, no privacy"
        found = infer(each, patients, shadows, begin(label, shadows))
        models.append(_rates(each, found))
    return {"shadows": shadows, "models": models}


def _rates(terms: Terms, found: Inferred) -> Values:
    plan = terms.plan
    hospitals = [{"name": name, **asdict(rates)} for name, rates in found.hospitals.items()]
    return {
        "privacy": plan is not None,
        "limit": None if plan is None else largest_auc(plan.cost().epsilon(plan.delta), plan.delta),
        **asdict(found.everybody),
        "hospitals": sorted(hospitals, key=lambda each: -each["auc"]),
    }


def _inversion(terms: Terms, names: list[str], begin: Begin, skipped: list[str]) -> Values | None:
    """Digital patients from gradients: at ε = ∞ after one round, under privacy after all of them."""
    try:
        victims = victims_of(terms.task, names, DRAWS, terms.seed)
    except TaskError as error:
        skipped.append(f"inversion: not shown, as pictures must never be of a real patient: {error}")
        return None
    views = []
    for each in reversed(_with_and_without(terms)):
        rounds = 1 if each.plan is None else terms.study.rounds
        label = "inversion" if each.plan is not None else "inversion, no privacy"
        for sees, found in reconstruct(each, victims, rounds, begin(label, DRAWS)).items():
            views.append(_view(each, terms.study, sees, found))
    return {"names": list(terms.task.inputs), "views": views}


def _view(terms: Terms, study: Study, sees: str, found: Inverted) -> Values:
    private = study.privacy
    summed = private is not None and private.secure_aggregation
    return {
        "sees": sees,
        "privacy": terms.plan is not None,
        "epsilon": None if terms.plan is None else terms.plan.epsilon,
        "seen": sees == "sum" or not summed,
        "error": found.error,
        "guesser": found.guesser,
        "victims": found.victims,
        "truth": found.truth.tolist(),
        "guess": found.guess.tolist(),
    }


def _with_and_without(terms: Terms) -> list[Terms]:
    """The study as it is; then, if it has privacy, the same without."""
    free = Terms(terms.study.without_privacy(), None, terms.seed)
    return [free] if terms.plan is None else [terms, free]
