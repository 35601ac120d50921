"""Which settings the two heart-disease studies should have, judged by training patients alone.

Chooses rounds, learning-rate and clip for examples/heart-disease.toml and examples/heart-disease-full.toml
(fedavg, one step a round, every patient in every step, distributed noise). One setting has to serve three
studies: without privacy, at ε = 1 and at ε = 0.5, both at δ = 1e-4; the best mean of the three scores wins.

    python benchmarks/heart_disease_settings.py --data DIR --repeats 10 --noise-draws 10

Each hospital's training patients are cut into folds, stratified by diagnosis, several times over. The four
hospitals learn together from all folds but one and are scored on that one, by the log-likelihood of the true
diagnosis, averaged over folds and noise draws, every patient counting the same. The test patients of
`task.split` are held out: nothing here looks at them.

Three things to know when reading the numbers:

- A fold's training part is 80 % of what the real study learns from, while the noise on a sum of clipped
  gradients does not depend on how many patients are in it. So the private scores are a little pessimistic.
- A few hundred patients cannot tell neighbouring settings apart. `--criterion headline` scores by the task's
  own metric, each hospital counting the same, and misleads: in the complete cohort all of Switzerland's 30
  training patients are sick, and with a quarter of the score they reward a model which calls everybody sick,
  and with it few and short steps. What each criterion led to stands in the task's README.
- The choice itself looks at training patients without noise, and no ε of a study covers that. It is sound for
  public records such as these; with patients of your own, take the settings as they are, or choose them on
  digital patients.

The learner is simulated for all settings at once instead of being run by an engine: a logistic gradient is
the residual times (features, 1), so that clipping a patient's gradient is clipping her residual. `agree`
checks both that and the metrics against the project's own code before anything is scored.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from client.hospital import cohort
from ground.errors import LaennecError
from privacy.gradients import PatientGradients
from privacy.plan import PrivacyPlan
from tasks.contract import Task
from tasks.learners.model import model_from
from tasks.registry import find

ROUNDS = (5, 10, 20, 30, 50, 100)
RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
CLIPS = (0.25, 0.5, 1.0, 2.0)
EPSILONS = (None, 1.0, 0.5)  # None: no privacy
DELTA = 1e-4
FOLDS = 5
TASKS = ("heart-disease", "heart-disease-full")

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Table:
    """Every hospital's training patients, one below the other.

    Attributes:
        names: the hospitals.
        rows: features and a 1 for the bias, shape (patient, feature + 1).
        labels: 0 or 1, shape (patient,).
        hospital: index into `names`, shape (patient,).

    """

    names: tuple[str, ...]
    rows: Tensor
    labels: Tensor
    hospital: Tensor


def training_patients(task: Task, folder: Path) -> Table:
    """The training part of each hospital's split; the test part is left where it is."""
    sources = task.hospitals(folder)
    features, labels, hospital = [], [], []
    for number, source in enumerate(sources.values()):
        patients = cohort(task.name, (str(source.resolve()),)).training
        inputs, targets = patients.batch(np.arange(len(patients), dtype=np.int64), torch.Generator())
        features.append(inputs)
        labels.append(targets)
        hospital.append(torch.full((len(patients),), number))
    everyone = torch.cat(features)
    rows = torch.cat([everyone, torch.ones(len(everyone), 1)], dim=1)
    return Table(tuple(sources), rows, torch.cat(labels), torch.cat(hospital))


def validation_masks(table: Table, repeats: int) -> Tensor:
    """Who is scored in each fold of each repeat, shape (repeat · fold, patient), True or False.

    Within a hospital and a diagnosis patients are dealt out in random order, starting at a random fold.
    """
    masks = torch.zeros(repeats, FOLDS, len(table.labels), dtype=torch.bool)
    for repeat in range(repeats):
        random = np.random.default_rng(repeat)
        for number in range(len(table.names)):
            start = int(random.integers(FOLDS))
            for label in (0, 1):
                alike = np.flatnonzero(((table.hospital == number) & (table.labels == label)).numpy())
                fold = (start + np.arange(len(alike))) % FOLDS
                masks[repeat, fold, random.permutation(alike)] = True
                start += len(alike)
    return masks.reshape(repeats * FOLDS, -1)


def residual_bounds(table: Table, masks: Tensor, clips: tuple[float, ...]) -> Tensor:
    """How large a residual may be before its gradient is longer than the clip; 0 for who is left out.

    Shape (fold, 1, 1, clip, patient), to stand beside (fold, noise draw, rate, clip, patient).
    """
    bounds = torch.tensor(clips)[:, None] / table.rows.norm(dim=1)
    kept = (~masks)[:, None, None, None, :]
    return torch.where(kept, bounds, torch.zeros(()))


def learn(table: Table, masks: Tensor, rounds: int, plan: PrivacyPlan | None, draws: int) -> Tensor:
    """Logits of every patient under every model, shape (fold, noise draw, rate, clip, patient).

    Without a plan there is no clip and no noise: both of these axes have length 1. The noise of a round is
    the same for all rates and clips, which makes settings comparable with fewer draws.
    """
    draws, clips = (1, (float("inf"),)) if plan is None else (draws, CLIPS)
    noise, count_noise = (0.0, 0.0) if plan is None else (plan.noise_multiplier, plan.count_noise_multiplier)
    generator = torch.Generator().manual_seed(rounds)
    folds, width = len(masks), table.rows.shape[1]
    bounds = residual_bounds(table, masks, clips)
    count = (~masks).sum(dim=1)[:, None] + count_noise * torch.randn(folds, draws, generator=generator)
    divisor = count.clamp_min(1.0)[:, :, None, None, None]
    rates = torch.tensor(RATES)[:, None, None]
    deviation = noise * torch.tensor(clips)[:, None] if noise else torch.zeros(1, 1)
    models = torch.zeros(folds, draws, len(RATES), len(clips), width)
    for _ in range(rounds):
        residuals = torch.sigmoid(models @ table.rows.T).sub_(table.labels)
        total = residuals.clamp_(-bounds, bounds) @ table.rows
        drawn = torch.randn(folds, draws, 1, 1, width, generator=generator)
        models -= rates * (total + deviation * drawn) / divisor
    return models @ table.rows.T


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of patients on the right side of one half, over the last axis."""
    return ((logits > 0) == (labels > 0.5)).float().mean(dim=-1)


def auc(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of pairs of one sick and one healthy patient in the right order, over the last axis.

    A tie is half a pair; without a pair it is NaN.
    """
    sick, healthy = logits[..., labels > 0.5], logits[..., labels < 0.5]
    ahead = sick[..., :, None] - healthy[..., None, :]
    return (0.5 + 0.5 * ahead.sign()).mean(dim=(-2, -1))


def log_likelihood(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean log-probability of the true diagnosis, over the last axis: a proper score, with no threshold."""
    return (labels * logits - torch.nn.functional.softplus(logits)).mean(dim=-1)


METRICS = {"accuracy": accuracy, "auc": auc, "log-likelihood": log_likelihood}


def scores(table: Table, masks: Tensor, logits: Tensor, headline: str) -> Tensor:
    """The headline metric of the patients left out, shape (hospital, rate, clip).

    A fold in which a hospital has no pair to rank says nothing about that hospital and is passed over.
    """
    hospitals = []
    for number in range(len(table.names)):
        folds = []
        for fold, mask in enumerate(masks):
            scored = mask & (table.hospital == number)
            values = METRICS[headline](logits[fold][..., scored], table.labels[scored])
            folds.append(values.mean(dim=0))
        hospitals.append(torch.stack(folds).nanmean(dim=0))
    return torch.stack(hospitals).expand(-1, -1, len(CLIPS))


def search(criterion: str, table: Table, repeats: int, draws: int) -> Scores:
    """Cross-validated scores, shape (ε, rounds, rate, clip, hospital)."""
    masks = validation_masks(table, repeats)
    grid = []
    for epsilon in EPSILONS:
        for rounds in ROUNDS:
            logits = learn(table, masks, rounds, plan_of(epsilon, rounds), draws)
            grid.append(scores(table, masks, logits, criterion).permute(1, 2, 0).numpy())
    return np.stack(grid).reshape(len(EPSILONS), len(ROUNDS), len(RATES), len(CLIPS), -1)


def plan_of(epsilon: float | None, rounds: int) -> PrivacyPlan | None:
    """The project's own plan; its noise is in units of the clip, so that one serves all clips."""
    if epsilon is None:
        return None
    return PrivacyPlan.design(
        epsilon=epsilon, delta=DELTA, clip=1.0, sampling_rate=1.0, steps=rounds, noise="distributed"
    )


def agree(task: Task, table: Table) -> None:
    """Raise where the short cuts taken here differ from the project's gradients or metrics."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(table.rows.shape[1], generator=generator)
    logits = table.rows @ vector
    nobody = torch.zeros(1, len(table.labels), dtype=torch.bool)
    with PatientGradients(model_from(task, vector.numpy()), task.loss) as gradients:
        for clip in CLIPS:
            bound = residual_bounds(table, nobody, (clip,)).flatten()
            ours = (torch.sigmoid(logits) - table.labels).clamp(-bound, bound) @ table.rows
            theirs = gradients.clipped_sum(table.rows[:, :-1], table.labels, clip).vector
            np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-3, atol=1e-3)
    theirs_metrics = task.metrics(logits[:, None], table.labels)
    for name in theirs_metrics:
        ours_value = float(METRICS[name](logits, table.labels))
        np.testing.assert_allclose(ours_value, theirs_metrics[name], atol=1e-5)


def voices(criterion: str, table: Table) -> Scores:
    """How much each hospital counts, shape (hospital,): by its patients for the likelihood, else the same."""
    sizes = np.bincount(table.hospital.numpy()).astype(np.float32)
    return sizes / sizes.sum() if criterion == "log-likelihood" else np.full_like(sizes, 1 / len(sizes))


def report(task: Task, criterion: str, table: Table, grid: Scores, top: int) -> None:
    """The best settings, the winner by hospital, and the lines that belong into the study."""
    studies = grid @ voices(criterion, table)
    overall = studies.mean(axis=0)
    best = np.argsort(-overall, axis=None, kind="stable")[:top]
    places = list(zip(*np.unravel_index(best, overall.shape), strict=True))
    heads = ["no privacy" if epsilon is None else f"ε = {epsilon:g}" for epsilon in EPSILONS]
    print(f"\n{task.name}: {criterion}, cross-validated, {len(table.labels)} training patients")
    print(f"{'rounds':>8}{'rate':>7}{'clip':>7}{'mean':>9}" + _cells(heads))
    for r, e, c in places:
        setting = f"{ROUNDS[r]:>8}{RATES[e]:>7g}{CLIPS[c]:>7g}{overall[r, e, c]:>9.4f}"
        print(setting + _cells(f"{score:.4f}" for score in studies[:, r, e, c]))
    r, e, c = places[0]
    print("\n  the first of them, hospital by hospital:")
    for number, name in enumerate(table.names):
        labels = table.labels[table.hospital == number]
        here = f"{name}, {int(labels.sum())} sick of {len(labels)}"
        print(f"  {here:<29}" + _cells(f"{score:.4f}" for score in grid[:, r, e, c, number]))
    print(f"\n  examples/{task.name}.toml:")
    print(f"    rounds = {ROUNDS[r]}; learning-rate = {RATES[e]}; clip = {CLIPS[c]}")


def _cells(texts: Iterable[str]) -> str:
    return "".join(f"{text:>12}" for text in texts)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Choose rounds, learning-rate and clip of the heart-disease studies by cross-validation "
        "on training patients. The held-out test patients are not used.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the four UCI files")
    parser.add_argument("--task", choices=TASKS, nargs="+", default=TASKS, help="which study")
    parser.add_argument(
        "--criterion",
        choices=("log-likelihood", "headline"),
        default="log-likelihood",
        help="log-likelihood, every patient counting the same; or the task's headline metric, every hospital "
        "counting the same",
    )
    parser.add_argument("--repeats", type=int, default=4, help=f"times that {FOLDS} folds are drawn anew")
    parser.add_argument("--noise-draws", type=int, default=5, help="noise draws a fold")
    parser.add_argument("--top", type=int, default=10, help="how many settings to print")
    return parser.parse_args()


def main() -> None:
    """Search for each task in turn and print what was found."""
    options = arguments()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    for name in options.task:
        started = time.perf_counter()
        task = find(name)
        try:
            table = training_patients(task, options.data)
            with torch.enable_grad():
                agree(task, table)
        except LaennecError as error:
            raise SystemExit(f"{name}: {error}") from error
        criterion = task.headline if options.criterion == "headline" else options.criterion
        grid = search(criterion, table, options.repeats, options.noise_draws)
        report(task, criterion, table, grid, options.top)
        print(f"  ({time.perf_counter() - started:.0f} seconds)")


if __name__ == "__main__":
    main()
