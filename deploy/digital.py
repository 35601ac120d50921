"""Digital hospitals on disk: a folder of tables and recipes that `--data` accepts like any other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from client.hospital import Settings
from deploy.federation import hospitals_in
from ground.errors import UsageError
from tasks.contract import Task
from tasks.registry import find
from tasks.study import Study

PATIENTS_PER_HOSPITAL = 200
# Added to a study's seed: the patients of that seed itself are those of a digital start.
OTHERS = 1_000_000


def digital_hospitals(task_name: str, sizes: Mapping[str, int], seed: int, folder: Path) -> Path:
    """One digital hospital for each stratum named, with that many patients; gives the folder.

    A name may end in a number ("cleveland-2"): another hospital of the same stratum, with other patients.
    """
    task = find(task_name)
    for number, (hospital, count) in enumerate(sizes.items()):
        write_patients(task, _stratum(task, hospital), count, seed + number, hospital, folder)
    return folder


def nodes_for(
    study: Study, data: Path | None, hospitals: int, out: Path, *, secret_noise: bool
) -> list[Settings]:
    """The hospitals found in `data`, or so many digital ones, made in `out`/digital-hospitals."""
    if data is not None:
        return hospitals_in(study.task, data, None, secret_noise=secret_noise)
    sizes = sizes_for(study.task, hospitals)
    folder = digital_hospitals(study.task, sizes, study.seed + OTHERS, out / "digital-hospitals")
    # The folder may hold more from an earlier run.
    return [n for n in hospitals_in(study.task, folder, None, secret_noise=secret_noise) if n.name in sizes]


def sizes_for(task_name: str, hospitals: int) -> dict[str, int]:
    """So many hospitals of equal size, taking the task's strata in turn."""
    strata = find(task_name).strata
    if not strata:
        raise UsageError(f"task {task_name} has no simulator: give --data")
    names = []
    for number in range(hospitals):
        again = number // len(strata)
        names.append(strata[number % len(strata)] + (f"-{again + 1}" if again else ""))
    return dict.fromkeys(names, PATIENTS_PER_HOSPITAL)


def write_mixture(task: Task, counts: Mapping[str, int], seed: int, name: str, folder: Path) -> Path:
    """One hospital of digital patients of several strata, with their recipes; gives the path of its file."""
    folder.mkdir(parents=True, exist_ok=True)
    mixture = [
        each for stratum, count in counts.items() if count for each in task.recipes(stratum, count, seed)
    ]
    return task.export(mixture, name, folder)


def write_patients(task: Task, stratum: str, count: int, seed: int, name: str, folder: Path) -> Path:
    """Digital patients of one stratum with their recipes; gives the path of the table."""
    if stratum not in task.strata:
        known = ", ".join(task.strata) or "none: this task has no simulator"
        raise UsageError(f"task {task.name} has no stratum {stratum}: its strata are {known}")
    folder.mkdir(parents=True, exist_ok=True)
    return task.export(task.recipes(stratum, count, seed), name, folder)


def _stratum(task: Task, hospital: str) -> str:
    base, _, number = hospital.rpartition("-")
    return base if number.isdigit() and base in task.strata else hospital
