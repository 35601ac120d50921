"""Heterogeneous hospitals, measured: four real ones that lack different channels, and data of known truth.

    .venv/bin/python benchmarks/heterogeneous.py alzheimer [--seeds 10]   every seed deals the patients anew
    .venv/bin/python benchmarks/heterogeneous.py settings [--private]     how they were chosen
    .venv/bin/python benchmarks/heterogeneous.py truth [--seeds 40]       dimensions recovered
    .venv/bin/python benchmarks/heterogeneous.py study > FILE             writes examples/alzheimer.toml

100 of the 333 people are held out once and for all: no setting was chosen on them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tomli_w
import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score, roc_auc_score

from client.hospital import Settings, cohort
from deploy.federation import Machine, federate, hospitals_in, pooled
from ground.arrays import Array
from tasks.heterogeneous import alzheimer, truth
from tasks.heterogeneous.alzheimer import LACKS
from tasks.heterogeneous.model import MultiChannel
from tasks.heterogeneous.outputs import importance, kept, reconstruct
from tasks.learners.model import model_from
from tasks.registry import find
from tasks.study import Study, load

STUDY = Path("examples/alzheimer.toml")
EPSILONS = (1.0, 3.0, 8.0)
SETTINGS = (
    {"dimensions": 8, "target-weight": 10, "shrinkage": 0},
    {"dimensions": 8, "target-weight": 10, "shrinkage": 0.3},
    {"dimensions": 8, "target-weight": 30, "shrinkage": 1},
    {"dimensions": 4, "target-weight": 30, "shrinkage": 1},
    {"dimensions": 8, "target-weight": 60, "shrinkage": 2},
    {"dimensions": 12, "target-weight": 100, "shrinkage": 2},
)
PRIVATE_SETTINGS = tuple({"private-rate": each} for each in (0.2, 0.5, 1.5))
Floats = npt.NDArray[np.float64]

HEADER = """\
# 333 people, four hospitals: one without CSF, one without genotypes, one without proteins.
# docs/heterogeneous.md. Centres and scales are those of 32 controls who are set aside as a public reference
# sample and learned from by nobody. Written by: .venv/bin/python benchmarks/heterogeneous.py study
name = "alzheimer"
task = "heterogeneous"
rounds = 20
seed = 1

[training]                          # chosen on those who are not held out: docs/heterogeneous.md
strategy = "fedavg"
optimiser = "adam"
schedule = "cosine"
local-steps = 10
learning-rate = 0.01

[privacy]
epsilon = 8.0                       # for the whole study, per patient
delta = 1e-3
clip = 1.0
learning-rate = 0.5
noise = "distributed"               # the hospitals share the noise; their sum is trusted
minimum-hospitals = 3

[options]
dimensions = 8
target = "impaired"
target-weight = 60.0
shrinkage = 2.0

"""


def model_of(study: Study, vector: Array) -> MultiChannel:
    """The model of that study with these parameters."""
    model = model_from(find(study.task, study.task_version, study.options), vector).eval()
    if not isinstance(model, MultiChannel):
        raise TypeError("not a model of the task heterogeneous")
    return model


def learn(study: Study, hospitals: Sequence[Settings]) -> MultiChannel:
    """Run the study on this machine; its model."""
    return model_of(study, federate(study, hospitals, Machine()).progress.state.model)


def held_out(study: Study, hospitals: Sequence[Settings]) -> tuple[torch.Tensor, Floats]:
    """Inputs and diagnosis of everybody who is held out, hospital after hospital."""
    name = find(study.task, study.task_version, study.options).name
    parts = [cohort(name, each.sources).test for each in hospitals]
    rows = [part.batch(np.arange(len(part), dtype=np.int64), torch.Generator()) for part in parts]
    return torch.cat([row[0] for row in rows]), torch.cat([row[1] for row in rows]).double().numpy()


def training(study: Study, hospital: Settings) -> torch.Tensor:
    """What a hospital learns from."""
    name = find(study.task, study.task_version, study.options).name
    part = cohort(name, hospital.sources).training
    return part.batch(np.arange(len(part), dtype=np.int64), torch.Generator())[0]


def auc(model: MultiChannel, inputs: torch.Tensor, labels: Floats) -> float:
    """Area under the ROC curve."""
    with torch.no_grad():
        return float(roc_auc_score(labels, model(inputs)[:, 0].numpy()))


def as_at(study: Study, inputs: torch.Tensor, hospital: str) -> torch.Tensor:
    """The same patients with what that hospital measures."""
    joint = find(study.task, study.task_version, study.options).model().joint
    inputs = inputs.clone()
    if LACKS[hospital]:
        inputs[:, joint.columns(LACKS[hospital])] = float("nan")
    return inputs


def regressions(study: Study, hospitals: Sequence[Settings], tested: torch.Tensor) -> list[Floats]:
    """Every hospital with CSF predicts it by ridge regression on its own patients: R² of each marker."""
    joint = find(study.task, study.task_version, study.options).model().joint
    csf = joint.columns("csf")
    found = []
    for hospital in hospitals:
        own = training(study, hospital).double().numpy()
        if np.isnan(own[:, csf]).all():
            continue
        used = ~np.isnan(own).all(axis=0)
        used[csf] = False
        ridge = RidgeCV(np.logspace(0, 4, 17)).fit(own[:, used], own[:, csf])
        wanted = tested.double().numpy()
        found.append(r2_score(wanted[:, csf], ridge.predict(wanted[:, used]), multioutput="raw_values"))
    return found


def r2(model: MultiChannel, tested: torch.Tensor) -> tuple[Floats, float]:
    """Of each CSF marker predicted from the rest, and how often it lies in its 90 % interval."""
    joint = model.joint
    said = reconstruct(model, tested, "csf")
    variables = [variable for channel, variable in joint.variables if channel == "csf"]
    real = tested[:, joint.columns("csf")].double().numpy()
    real = np.stack([each.measured(real[:, n]) for n, each in enumerate(variables)], axis=1)
    inside = float(((real >= said.low) & (real <= said.high)).mean())
    return r2_score(real, said.mean, multioutput="raw_values"), inside


def spread(values: Sequence[float] | Floats) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.3f}"


def interval(values: Floats) -> str:
    """Mean over seeds and the 95 % interval of that mean, by bootstrap of the seeds."""
    draws = np.random.default_rng(1).choice(values, size=(2000, len(values))).mean(axis=1)
    return f"{values.mean():.3f} [{np.quantile(draws, 0.025):.3f}, {np.quantile(draws, 0.975):.3f}]"


def one_deal(
    study: Study, file: Path, seed: int, folder: Path, epsilons: Sequence[float]
) -> dict[str, object]:
    """Everything that is measured where the patients are dealt by that seed."""
    alzheimer.write(file, folder / "missing", seed)
    alzheimer.write(file, folder / "complete", seed, complete=True)
    missing = hospitals_in(study.task, folder / "missing", None, secret_noise=False)
    complete = hospitals_in(study.task, folder / "complete", None, secret_noise=False)
    study = study.with_seed(seed)
    free = study.without_privacy()
    tested, labels = held_out(free, complete)
    as_they_are, same = held_out(free, missing)
    federated, together = learn(free, missing), learn(free, [pooled(complete)])
    alone = {each.name: learn(free, [each]) for each in missing}
    found: dict[str, object] = {
        "pooled complete": auc(together, tested, labels),
        "federated": auc(federated, tested, labels),
        "own": np.mean([auc(m, as_at(free, tested, name), labels) for name, m in alone.items()]),
        "federated, as measured": auc(federated, as_they_are, same),
        "pooled complete, as measured": auc(together, as_they_are, same),
    }
    for epsilon in epsilons:
        private = learn(study.with_epsilon(epsilon), missing)
        found[f"federated ε={epsilon:g}"] = auc(private, tested, labels)
    found["r2"], found["inside"] = r2(federated, tested)
    found["r2 pooled"], _ = r2(together, tested)
    found["r2 alone"] = np.mean(regressions(free, missing, tested), axis=0)
    found["weights"] = importance(federated)
    return found


def alzheimer_table(data: Path, seeds: int, epsilons: Sequence[float]) -> None:
    """Deal, learn, print."""
    study, file, deals = load(STUDY), data / alzheimer.FILE, []
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            deals.append(one_deal(study, file, seed, Path(folder), epsilons))
    print(f"impaired or control: AUC on 100 held-out people, mean ± sd over {seeds} deals of the others\n")
    for name in deals[0]:
        if isinstance(deals[0][name], float) and name != "inside":
            print(f"  {name:32} {spread([deal[name] for deal in deals])}")
    values = {
        name: np.asarray([deal[name] for deal in deals]) for name in ("pooled complete", "federated", "own")
    }
    print(f"\n  pooled complete - federated      {interval(values['pooled complete'] - values['federated'])}")
    print(f"  federated - mean of own          {interval(values['federated'] - values['own'])}")
    print("\nCSF from all else: R² on the held-out against their mean; mean and 95 % interval over deals")
    print(f"  {'':10} {'federated':24} {'pooled complete':24} {'ridge at one hospital':24}")
    for number, marker in enumerate(alzheimer.CSF):
        rows = [np.asarray([deal[key][number] for deal in deals]) for key in ("r2", "r2 pooled", "r2 alone")]
        print(f"  {marker:10} " + " ".join(f"{interval(row):24}" for row in rows))
    print(f"  in their 90 % intervals: {spread([deal['inside'] for deal in deals])}")
    print("\nwhat weighs most: change of the logit for one scale or allele, mean over deals")
    total: dict[tuple[str, str], list[float]] = {}
    for deal in deals:
        for each in deal["weights"]:
            total.setdefault((each.channel, each.variable), []).append(each.logit)
    for (channel, variable), logits in sorted(total.items(), key=lambda each: -abs(np.mean(each[1])))[:10]:
        print(f"  {channel + '.' + variable:44} {spread(logits)}")


def settings_table(data: Path, private: bool) -> None:
    """Settings by five-fold cross-validation among those who are not held out."""
    study, file = load(STUDY), data / alzheimer.FILE
    print("mean AUC over five folds of the 201 who are not held out\n")
    for change in PRIVATE_SETTINGS if private else SETTINGS:
        values: dict[str, list[float]] = {}
        for division in alzheimer.folds(file, 0, 5):
            with tempfile.TemporaryDirectory() as folder:
                found = one_fold(changed(study, change), file, division, Path(folder), private)
            for name, value in found.items():
                values.setdefault(name, []).append(value)
        said = ", ".join(f"{name} {np.mean(each):.3f}" for name, each in values.items())
        print(f"  {', '.join(f'{name} {value:g}' for name, value in change.items()):58} {said}", flush=True)


def changed(study: Study, change: Mapping[str, float]) -> Study:
    """The study with other options, and with another rate of its private steps."""
    values = study.model_dump(by_alias=True)
    values["options"] |= {name: value for name, value in change.items() if name != "private-rate"}
    if "private-rate" in change:
        values["privacy"]["learning-rate"] = change["private-rate"]
    return Study.model_validate(values)


def one_fold(
    study: Study, file: Path, division: alzheimer.Division, folder: Path, private: bool
) -> dict[str, float]:
    """AUC on the fold's people."""
    for complete in (False, True):
        alzheimer.write(file, folder / str(complete), division, complete=complete)
    missing, everything = (
        hospitals_in(study.task, folder / str(complete), None, secret_noise=False)
        for complete in (False, True)
    )
    tested, labels = held_out(study, everything)
    if private:
        arms = {f"ε={each:g}": learn(study.with_epsilon(each), missing) for each in EPSILONS}
        return {name: auc(model, tested, labels) for name, model in arms.items()}
    free = study.without_privacy()
    alone = [auc(learn(free, [each]), as_at(free, tested, each.name), labels) for each in missing]
    together = {"pooled complete": learn(free, [pooled(everything)]), "federated": learn(free, missing)}
    return {name: auc(model, tested, labels) for name, model in together.items()} | {
        "own": float(np.mean(alone))
    }


def write_truth(folder: Path, seed: int, hospitals: int) -> None:
    """The patients of one truth as hospitals' tables."""
    patients = truth.drawn(500, seed).inputs.numpy()
    for number, rows in enumerate(np.array_split(patients, hospitals), 1):
        truth.write(rows, folder / f"hospital-{number}")


def truth_table(seeds: int) -> None:
    """How many dimensions survive, seed by seed."""
    print("500 patients, 3 channels of 4 variables, 2 true dimensions of 5 fitted, signal-to-noise 10;")
    print("three hospitals where federated; a dimension counts that is dropped less than .2\n")
    counts: dict[str, list[int]] = {"pooled": [], "federated": []}
    for seed in range(1, seeds + 1):
        for name, hospitals in (("pooled", 1), ("federated", 3)):
            with tempfile.TemporaryDirectory() as folder:
                write_truth(Path(folder), seed, hospitals)
                nodes = hospitals_in("heterogeneous", Path(folder), None, secret_noise=False)
                counts[name].append(kept(learn(truth.study(seed), nodes)))
        print(
            f"  seed {seed}: pooled {counts['pooled'][-1]}, federated {counts['federated'][-1]}", flush=True
        )
    print()
    for name, found in counts.items():
        right = sum(each == truth.TRUE_DIMENSIONS for each in found)
        print(f"  {name:10} {right} of {seeds} exact; found " + " ".join(map(str, found)))


def write_study(data: Path) -> None:
    """The example study, whole."""
    print(
        HEADER + tomli_w.dumps({"options": {"channels": alzheimer.study_options(data / alzheimer.FILE)}}),
        end="",
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("alzheimer", "settings", "truth", "study"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data/modeldata-alzheimer"))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--no-epsilon", action="store_true", help="leave the private arms out")
    parser.add_argument("--private", action="store_true", help="settings of the private steps")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.what == "alzheimer":
        alzheimer_table(asked.data, asked.seeds or 10, () if asked.no_epsilon else EPSILONS)
    elif asked.what == "settings":
        settings_table(asked.data, asked.private)
    elif asked.what == "truth":
        truth_table(asked.seeds or 40)
    else:
        write_study(asked.data)


if __name__ == "__main__":
    main()
