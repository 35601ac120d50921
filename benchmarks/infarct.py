"""The task `infarct`: what it reaches on digital hearts and, with no real one in training, on real ones.

python benchmarks/infarct.py [--data ../shared/data/sunnybrook-slices]
    [--figure docs/figures/infarct-worst.png] [--patients 1200] [--test 400] [--models 3]

Trains on digital patients from seed 11, tests on others from seed 12, then on all 45 patients of Sunnybrook,
of whom only ED/ES contours of the cavity are used. One core, some minutes. Prints tables; draws the five
patients of HF-I and HF-NI whose probability is furthest from the truth.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from torch import nn

from simulation.heart import strata as hearts
from tasks.hearts import reader
from tasks.infarct import cohort
from tasks.infarct.digital import TYPICAL, VIEWS, Beating, beating, contours, patients_of
from tasks.infarct.excursion import Contours, area_and_centre, ejection_fraction, radii, shortening
from tasks.infarct.inputs import InfarctPatients
from tasks.infarct.model import SegmentModel, loss, metrics
from tasks.infarct.pictures import Judged, contour_sheet
from tasks.infarct.reading import contours_of, from_hearts

Array = npt.NDArray[np.float64]
SHARES: Mapping[str, float] = {"infarct": 3 / 8, "dilated": 2 / 8, "hypertrophic": 1 / 8, "normal": 2 / 8}
TRAINING, TEST = 11, 12  # seeds
STEPS, BATCH, RATE = 3000, 128, 5e-3
KINDS = ("strains", "curves", "labels", "masks")
REPEATS = 2000  # of the bootstrap


def cohort_of(count: int, seed: int) -> list[Beating]:
    """So many digital hearts of all strata."""
    asked = [
        each for name, share in SHARES.items() for each in cohort.recipes(name, round(share * count), seed)
    ]
    return beating(asked)


def trained(patients: InfarctPatients, seed: int) -> SegmentModel:
    """A model after STEPS of Adam with a falling rate."""
    torch.manual_seed(seed)
    model, luck = SegmentModel(), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    choice = np.random.default_rng(seed)
    for _ in range(STEPS):
        inputs, targets = patients.batch(choice.choice(len(patients), BATCH), luck)
        optimiser.zero_grad()
        torch.autograd.backward(loss(model(inputs), targets).mean())
        optimiser.step()
        schedule.step()
    return model.eval()


def logits(models: list[nn.Module], views: torch.Tensor) -> torch.Tensor:
    """(model, patient, 1 + 17) of one examination each, (patient, 17, …)."""
    with torch.no_grad():
        return torch.stack([model(views) for model in models])


def interval(score: Array, truth: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """AUC and its 95 % interval after DeLong et al. 1988, on the logit scale where it is not 0 or 1."""
    ill, well = score[truth], score[~truth]
    wins = (ill[:, None] > well[None]) + 0.5 * (ill[:, None] == well[None])
    auc = float(wins.mean())
    variance = wins.mean(1).var(ddof=1) / len(ill) + wins.mean(0).var(ddof=1) / len(well)
    if auc in (0.0, 1.0) or variance == 0.0:
        return auc, float("nan"), float("nan")
    middle, wide = np.log(auc / (1 - auc)), norm.ppf(0.975) * np.sqrt(variance) / (auc * (1 - auc))
    low, high = (1 / (1 + np.exp(-each)) for each in (middle - wide, middle + wide))
    return auc, float(low), float(high)


def _between(low: float, high: float) -> str:
    return "none" if np.isnan(low) else f"{low:.3f}–{high:.3f}"


def bootstrap(score: Array, truth: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """95 % interval of the AUC over patients drawn again within their groups."""
    draw = np.random.default_rng(0)
    ill, well = score[truth], score[~truth]
    found = []
    for _ in range(REPEATS):
        one, other = draw.choice(ill, len(ill)), draw.choice(well, len(well))
        found.append(float(((one[:, None] > other) + 0.5 * (one[:, None] == other)).mean()))
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)


def digital(models: list[nn.Module], test: list[Beating], patients: InfarctPatients) -> None:
    """Tables of the digital test set."""
    fail = np.array([cohort.fails(each.recipe) for each in test])
    infarct = patients.targets[:, 0].numpy() > 0
    print("\n## Digital test set\n")
    print(
        f"{len(test)} hearts, {int(infarct.sum())} with an infarct; "
        f"failing: {int((fail & infarct).sum())} with,",
        end=" ",
    )
    print(f"{int((fail & ~infarct).sum())} without")
    for name, values in (
        ("ejection fraction", [-h.ejection for h in test]),
        ("volume", [h.volume_ml for h in test]),
    ):
        alone = roc_auc_score(infarct[fail], np.array(values)[fail])
        print(f"failing hearts, infarct against none, AUC of {name} alone: {alone:.3f}")
    print(
        "\n| known | AUC, patient | of failing ones | segments: balanced accuracy | AUC | sensitivity "
        "| specificity |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind in KINDS:
        found = logits(models, patients.views[:, VIEWS.index(kind)])
        rows = []
        for each in found:
            whole, some = metrics(each, patients.targets), metrics(each[fail], patients.targets[fail])
            said, truth = each[:, 1:] > 0, patients.targets[:, 1:] > 0
            right = float(said[truth].double().mean()), float((~said)[~truth].double().mean())
            rows.append((whole["auc"], some["auc"], whole["balanced_accuracy"], whole["segment_auc"], *right))
        middle, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
        print(
            f"| {kind} | "
            + " | ".join(f"{m:.3f} ± {s:.3f}" for m, s in zip(middle, spread, strict=True))
            + " |"
        )
    print("\nFrom masks, infarcts found (probability above one half) by where they are:\n")
    score = logits(models, patients.views[:, VIEWS.index("masks")]).mean(0)[:, 0] > 0
    for name, (segments, _) in cohort.TERRITORY.items():
        mine = np.array([hearts.check(h.recipe).segments == segments for h in test])
        print(f"    {name:20s} {int(score[mine].sum()):3d} of {int(mine.sum())}")
    for name in cohort.STRATA[1:]:
        mine = patients.strata == cohort.STRATA.index(name)
        print(f"    {'none, ' + name:20s} {int(score[mine].sum()):3d} of {int(mine.sum())}")


def real(models: list[nn.Module], folder: Path, figure: Path | None) -> None:
    """Tables of Sunnybrook, and the picture of the worst."""
    members = [h for path in reader.hospitals(folder).values() for h in reader.read_hospital(path).hearts]
    patients = from_hearts(members)
    drawn = [contours_of(each) for each in members]
    assert all(drawn)  # noqa: S101  `from_hearts` set nobody aside
    group = np.array([each.group for each in members])
    ejection = np.array([ejection_fraction(each) for each in drawn if each is not None])
    each = logits(models, patients.views[:, 0]).double().numpy()
    score = each.mean(0)
    print("\n## Sunnybrook, real, no real patient in training\n")
    print(
        "| HF-I against | patients | AUC of the mean logit | DeLong 95 % | bootstrap 95 % | of single models "
        "| AUC of ejection fraction alone | DeLong 95 % |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, others in (
        ("N", ("N",)),
        ("HF-NI", ("HF-NI",)),
        ("HYP", ("HYP",)),
        ("all others", ("N", "HF-NI", "HYP")),
    ):
        mine = np.isin(group, ("HF-I", *others))
        truth = group[mine] == "HF-I"
        auc, low, high = interval(score[mine, 0], truth)
        first, last = bootstrap(score[mine, 0], truth)
        single = [roc_auc_score(truth, one[mine, 0]) for one in each]
        alone = interval(-ejection[mine], truth)
        print(
            f"| {name} | {truth.sum()} + {(~truth).sum()} | {auc:.3f} | {_between(low, high)} "
            f"| {first:.3f}–{last:.3f} | {', '.join(f'{s:.3f}' for s in single)} "
            f"| {alone[0]:.3f} | {_between(alone[1], alone[2])} |"
        )
    print("\nProbability of infarct, and ejection fraction of the slices that show both phases:\n")
    chance = 1 / (1 + np.exp(-score))
    for name in ("HF-I", "HF-NI", "HYP", "N"):
        chosen = np.flatnonzero(group == name)
        print(f"    {name:6s}" + "  ".join(f"{chance[i, 0]:.2f}/{100 * ejection[i]:.0f}%" for i in chosen))
    judged = [
        Judged(float(c[0]), c[1:], t, v)
        for c, t, v in zip(chance, patients.targets.numpy(), patients.views[:, 0].numpy(), strict=True)
    ]
    failing = [i for i in range(len(judged)) if group[i] in ("HF-I", "HF-NI")]
    worst = sorted(failing, key=lambda i: -judged[i].wrong)[:5]
    print("\nThe five worst of HF-I and HF-NI (number within the group, from 1):\n")
    rows = []
    for i in worst:
        number = int((group[: i + 1] == group[i]).sum())
        chance_of = f"probability {judged[i].probability:.2f}"
        says = f"{group[i]} no. {number}: {chance_of}, ejection fraction {100 * ejection[i]:.0f} %"
        one = drawn[i]
        assert one is not None  # noqa: S101
        base, apex = (shortening(one)[2, s].mean() for s in (slice(0, 6), slice(12, 16)))
        print(f"    {says}; inward motion at the base {base:.2f}, at the apex {apex:.2f}")
        rows.append((says, one, judged[i]))
    if figure is not None:
        figure.parent.mkdir(parents=True, exist_ok=True)
        figure.write_bytes(contour_sheet(rows))
        print(f"\ndrawn: {figure}")
    domain([each for each in drawn if each is not None])


_SEEN: list[Beating] = []


def domain(found: list[Contours]) -> None:
    """What all digital and all real contours look like, diagnoses unseen: what `Degraded` was set by."""
    draw = np.random.default_rng(0)
    made = [each for each in (contours(heart, draw, TYPICAL) for heart in _SEEN) if each is not None]
    print("\n## Contours of all patients together, diagnoses unseen: 5th, 50th, 95th percentile\n")
    print("| | real | digital |\n|---|---|---|")
    here, there = ([_measures(each) for each in some] for some in (found, made))
    for name in here[0]:
        columns = [np.percentile([each[name] for each in some], (5, 50, 95)) for some in (here, there)]
        print(f"| {name} | " + " | ".join(", ".join(f"{v:.2f}" for v in each) for each in columns) + " |")


def _measures(one: Contours) -> dict[str, float]:
    area, centre = area_and_centre(one.diastole)
    left, after = area_and_centre(one.systole)
    moved, weight = after - centre, np.sqrt(area / area.max())
    line = np.stack([np.ones_like(one.place), one.place - 0.5], axis=1)
    fit = np.linalg.lstsq((line * weight[:, None]).astype(complex), moved * weight, rcond=None)[0]
    rest = moved - line @ fit
    waves = np.abs(np.fft.rfft(radii(one.diastole, centre), axis=1)) / 36
    short = 1 - np.sqrt(left / area)
    return {
        "moved in systole, to the right (mm)": float(fit[0].real),
        "moved in systole, upwards (mm)": float(fit[0].imag),
        "apex less base, to the right (mm)": float(fit[1].real),
        "apex less base, upwards (mm)": float(fit[1].imag),
        "a slice beside that (mm)": float(np.sqrt((np.abs(rest) ** 2).mean() / 2)),
        "second harmonic at end-diastole (mm)": float(np.sqrt((waves[:, 2] ** 2).mean() / 2)),
        "third (mm)": float(np.sqrt((waves[:, 3] ** 2).mean() / 2)),
        "fourth (mm)": float(np.sqrt((waves[:, 4] ** 2).mean() / 2)),
        "shortening, apex less base": float(np.polyfit(one.place, short, 1, w=weight)[0]),
    }


def main() -> None:
    """Everything, in order."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/sunnybrook-slices"))
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--patients", type=int, default=1200)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--models", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    start = process_time()
    first, test = cohort_of(given.patients, TRAINING), cohort_of(given.test, TEST)
    lived = process_time()
    patients, others = patients_of(first), patients_of(test)
    seen = process_time()
    models: list[nn.Module] = [trained(patients, seed) for seed in range(given.models)]
    learnt = process_time()
    count = sum(each.numel() for each in models[0].parameters())
    print(
        f"{len(first)} digital hearts to learn from, {len(test)} to test on; "
        f"{count} parameters, {given.models} models"
    )
    print(
        f"seconds of one core: hearts {lived - start:.0f}, examinations {seen - lived:.0f}, "
        f"learning {learnt - seen:.0f}"
    )
    digital(models, test, others)
    _SEEN.extend(test)
    if given.data.is_dir():
        real(models, given.data, given.figure)
    else:
        print(f"\n{given.data} is absent: no real hearts")


if __name__ == "__main__":
    main()
