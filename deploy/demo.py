"""`laennec demo`: four hospitals of digital hearts, one without an infarct; before and after a gap is filled.

Infarcts are rare in three of the hospitals and absent from the fourth. What a model has learned is asked on
fresh hearts that no hospital knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from client.evaluation import metrics_by_hospital
from client.hospital import Settings
from deploy.arms import Plan, plans
from deploy.compare import Arm
from deploy.digital import OTHERS, write_mixture
from deploy.federation import hospitals_in
from ground.arrays import Array
from server.report.result import plain
from simulation.heart.export.cohort import Wanted, write_cohort
from simulation.heart.picture import Protocol
from tasks.contract import Picture
from tasks.registry import find
from tasks.study import Study, load

STUDY = Path(__file__).parent / "demo.toml"
STRATA = ("infarct", "dilated", "hypertrophic", "normal")
HOSPITALS: Mapping[str, tuple[int, int, int, int]] = MappingProxyType(
    {
        "amiens": (0, 40, 30, 50),
        "brest": (6, 40, 30, 44),
        "caen": (9, 36, 36, 39),
        "dijon": (12, 42, 30, 36),
    }
)
WITHOUT = "amiens"  # the one without a single infarct
FRESH = 40  # of each stratum
# Before the gap is filled, then after it.
ARMS = ("own", "federated", "federated_dp_unfilled", "federated_dp", "pooled")
PICTURED = Protocol(slices=8, phases=12)
STEPS = len(HOSPITALS) + 1  # of `prepare`
Told = Callable[[], None]


def prepare(out: Path, seed: int, told: Told = lambda: None) -> tuple[Study, list[Settings], list[Settings]]:
    """Make the hospitals in `out`; gives the study, its nodes, and where the fresh hearts lie."""
    study = load(STUDY)
    task, folder, aside = find(study.task), out / "digital-hospitals", out / "fresh-hearts"
    for number, (name, counts) in enumerate(HOSPITALS.items()):
        mixture = dict(zip(STRATA, counts, strict=True))
        write_mixture(task, mixture, seed + OTHERS + number, name, folder)
        told()
    write_mixture(task, dict.fromkeys(STRATA, FRESH), seed + 2 * OTHERS, "fresh", aside)
    told()
    nodes, fresh = (hospitals_in(study.task, each, None, secret_noise=False) for each in (folder, aside))
    return study.with_seed(seed), nodes, fresh


def arms(study: Study) -> list[Plan]:
    """The arms of the demo, before and after the gap is filled beside each other."""
    found = {plan.key: plan for plan in plans(study)}
    return [found[key] for key in ARMS]


def on_fresh(finished: Sequence[Arm], fresh: Sequence[Settings]) -> dict[str, Any]:
    """What the arms' models do for the fresh hearts, and the own one of the hospital without an infarct."""
    models: dict[str, Array] = {}
    for arm in finished:
        if WITHOUT in arm.own:
            models[f"{WITHOUT} alone"] = arm.own[WITHOUT].progress.state.model
        if arm.outcome is not None:
            models[arm.plan.label] = arm.outcome.progress.state.model
    task = find(finished[0].plan.study.task)
    found = {
        label: plain(metrics_by_hospital(task, model, fresh, everybody=True)[fresh[0].name])
        for label, model in models.items()
    }
    others = sorted({name for values in found.values() for name in values} - {task.headline})
    return {
        "patients": FRESH * len(STRATA),
        "of": f"a quarter of them {', '.join(STRATA[:-1])} and {STRATA[-1]} each",
        "metrics": [task.headline, *others],
        "models": found,
    }


def hearts(study: Study, out: Path, told: Told = lambda: None) -> list[Picture]:
    """A heart of each stratum with all that belongs to it, in `out`/hearts; gives their contact sheet."""
    task, folder = find(study.task), out / "hearts"
    recipes = [task.recipes(stratum, 1, study.seed + 2 * OTHERS)[0] for stratum in STRATA]
    title = "four of the fresh digital hearts"
    write_cohort(recipes, folder, Wanted(PICTURED), told, title=title)
    sheet = (folder / "contact-sheet.png").read_bytes()
    return [Picture(f"{title[0].upper()}{title[1:]}: nobody's, made from recipes", sheet)]
