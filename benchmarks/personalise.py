"""How well personalisation finds five parameters of digital patients whose truth is known.

    python benchmarks/personalise.py                    the table: 20 patients, both methods
    python benchmarks/personalise.py --information      what the measurements could tell at best, from which
    python benchmarks/personalise.py --noise 0.01       half the noise
    python benchmarks/personalise.py --activation       velocity and onset from activation maps instead

Patients 0 to 19 of the population: patient i is of group i mod 5 and has seed i; anatomy, function and
activation by the project's own simulators, noise from a generator of its own. Truth is simulated with 3,200
steps a beat; the fit takes an eighth (`--steps`), extrapolated, which shifts its results by what
`--information` prints.
Five parameters and two that cannot be taken as known, compliance and end-diastolic volume (whose prior is the
first frame), are fitted. The others are given: rate, relaxation, atrial kick, duration, impedance, anatomy,
differences of activation. `--unknown` puts the medians of the group in the place of relaxation, kick and
duration, which no clinic measures, to show what that costs.

Errors are |fit − truth| / truth. `prior` is the error of the group's median, which is what somebody says who
looks at no data: read a fit against it. `bound` is the median error that the information in data and prior
allows (0.674 posterior standard deviations, linearised at the truth): where a fit is near it, the method has
done what can be done. Coverage is the share of patients whose truth lies in the stated interval. Of 20
patients and at 90 % one expects 18 and need not wonder at 15; `--first 1000 --patients 200 --method kalman`
tells more.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from simulation.heart.anatomy import population, shape, volumes
from simulation.heart.anatomy.groups import SURFACE
from simulation.heart.anatomy.shape import Anatomy
from simulation.heart.electrophysiology.conduction import Speeds, activate
from simulation.heart.mechanics import function as functions
from simulation.personalise import (
    FITTED,
    ActivationMap,
    Cuff,
    Fit,
    Heart,
    Measurement,
    Prior,
    by_cma,
    by_kalman,
    fit_activation,
    population_prior,
)
from simulation.personalise.estimators import Task
from simulation.personalise.measurement import Array

HIDDEN = ("relaxation", "atrial_kick", "contraction")  # no clinic measures them
QUARTILE = 0.6745
METHODS: dict[str, Callable[..., list[Fit]]] = {"cma": by_cma, "kalman": by_kalman}


@dataclass(frozen=True)
class Cohort:
    """P patients, their truth (P, 7), and what was measured."""

    heart: Heart
    truth: Array
    groups: tuple[str, ...]
    measurements: list[Measurement]
    prior: Prior


def cohort(seeds: list[int], options: argparse.Namespace) -> Cohort:
    """Draw them, simulate them finely, measure them noisily."""
    groups = tuple(population.GROUPS[seed % len(population.GROUPS)] for seed in seeds)
    bodies, works = [], []
    for group, seed in zip(groups, seeds, strict=True):
        random = np.random.default_rng([seed, 0])
        bodies.append(population.draw(group, random))
        works.append(functions.draw(group, random, edv_ml=bodies[-1]["edv_ml"]))
    parameters = population.stack(bodies, dtype=torch.float64)
    anatomy = shape.build(parameters)
    share = torch.tensor(SURFACE, dtype=torch.float64).expand(len(seeds), -1)
    wall = share * parameters.wall
    wall = wall / wall.sum(1, keepdim=True) * volumes.wall(anatomy)[:, None]
    activation = activate(anatomy, spacing=4.0).segments.double()
    heart = Heart(
        functions.stack(works, dtype=torch.float64),
        wall,
        share,
        activation,
        steps=options.truth_steps,
        extrapolate=False,
    )
    truth = heart.truth(parameters.edv_ml)
    measurements = measure(heart, truth, seeds, options)
    means = [float(value) for value in heart.mean_activation()[:, 0]]
    first = [m.volumes[0] for m in measurements]
    prior = population_prior(groups, first, [float(np.mean(means))] * len(seeds), widen=options.widen)
    heart = replace(heart, steps=options.steps, extrapolate=True)
    return Cohort(
        guess(heart, groups, first) if options.unknown else heart, truth, groups, measurements, prior
    )


def measure(heart: Heart, truth: Array, seeds: list[int], options: argparse.Namespace) -> list[Measurement]:
    """A curve of `--frames` frames over one cycle, the first at end-diastole, and a cuff."""
    cycles = 60_000 / heart.function.heart_rate
    times = cycles[:, None] * torch.arange(options.frames, dtype=torch.float64) / options.frames
    curves = heart(torch.from_numpy(truth)[:, None], times)
    found = []
    for patient, seed in enumerate(seeds):
        random = np.random.default_rng([seed, 1])
        noise = options.noise * float(truth[patient, FITTED.index("edv")])
        shown = curves.volumes[patient, 0].numpy() + noise * random.standard_normal(options.frames)
        errors = options.cuff * random.standard_normal(2)
        systolic, diastolic = (
            float(curves.systolic[patient]) + errors[0],
            float(curves.diastolic[patient]) + errors[1],
        )
        cuff = Cuff(systolic, diastolic, options.cuff)
        found.append(Measurement(times[patient].tolist(), shown.tolist(), noise, cuff))
    return found


def guess(heart: Heart, groups: tuple[str, ...], edv: list[float]) -> Heart:
    """The same hearts with the group's medians where nothing measures."""
    medians = []
    for group, volume in zip(groups, edv, strict=True):
        random = np.random.default_rng(0)
        drawn = [functions.draw(group, random, edv_ml=volume) for _ in range(256)]
        medians.append({name: float(np.median([d[name] for d in drawn])) for name in drawn[0]})
    middle = functions.stack(medians, dtype=torch.float64)
    return replace(
        heart, function=replace(heart.function, **{name: getattr(middle, name) for name in HIDDEN})
    )


def information(patients: Cohort) -> None:
    """Posterior standard deviations at the truth, in percent, medians over patients."""
    task = Task(patients.heart, patients.measurements, patients.prior)
    scores = np.log(patients.truth / patients.prior.centre) / patients.prior.spread
    jacobian, _ = task.linearise(scores)
    rows: dict[str, tuple[Array, float]] = {
        "volumes alone": (jacobian[:, :-2], 0.0),
        "volumes and cuff": (jacobian, 0.0),
        "volumes, cuff, prior": (jacobian, 1.0),
    }
    print("\nstandard deviation of the logarithm, %, median over patients; 999 stands for more")
    print(f"{'':<22}" + "".join(f"{name:>17}" for name in FITTED))
    for label, (rows_of, weight) in rows.items():
        spread = deviations(rows_of, weight) * patients.prior.spread
        print(f"{label:<22}" + "".join(f"{min(100 * value, 999):>17.1f}" for value in np.median(spread, 0)))
    print(f"{'prior alone':<22}" + "".join(f"{100 * v:>17.1f}" for v in np.median(patients.prior.spread, 0)))


def deviations(jacobian: Array, weight: float) -> Array:
    """(P, K) from Jacobians (P, M, K) and the prior's weight."""
    matrix = np.swapaxes(jacobian, 1, 2) @ jacobian + weight * np.eye(jacobian.shape[2])
    return np.sqrt(np.diagonal(np.linalg.inv(matrix), axis1=1, axis2=2))


def table(name: str, parts: list[Cohort]) -> None:
    """One method against the truth."""
    fits: list[Fit] = []
    started = time.perf_counter()
    for part in parts:
        fits += METHODS[name](part.heart, part.measurements, part.prior)
    seconds = (time.perf_counter() - started) / len(fits)
    bounds = []
    for part in parts:
        task = Task(part.heart, part.measurements, part.prior)
        scores = np.log(part.truth / part.prior.centre) / part.prior.spread
        bounds.append(deviations(task.linearise(scores)[0], 1.0) * part.prior.spread)
    truth = np.concatenate([part.truth for part in parts])
    before = np.median(np.abs(np.concatenate([part.prior.centre for part in parts]) / truth - 1), 0)
    report(name, fits, truth, before, QUARTILE * np.median(np.concatenate(bounds), 0), seconds)


def report(name: str, fits: list[Fit], truth: Array, before: Array, bound: Array, seconds: float) -> None:
    """One method's part of the table."""
    values = np.array([[fit.values[key] for key in FITTED] for fit in fits])
    ends = np.array([[fit.intervals[key] for key in FITTED] for fit in fits])
    error = np.abs(values / truth - 1)
    inside = ((ends[..., 0] <= truth) & (truth <= ends[..., 1])).mean(0)
    beats, left = np.mean([fit.evaluations for fit in fits]), np.median([fit.residual for fit in fits])
    good = sum(fit.success for fit in fits)
    print(
        f"\n{name}: {seconds:.1f} s a patient, {beats:.0f} model runs, residual {left:.2f}, {good} successful"
    )
    print(f"{'':<18}{'median error':>14}{'90th perc.':>12}{'coverage 90 %':>15}{'prior':>9}{'bound':>9}")
    for place, key in enumerate(FITTED):
        middle, high = np.median(error[:, place]), np.quantile(error[:, place], 0.9)
        numbers = (
            f"{middle:>14.1%}{high:>12.1%}{inside[place]:>15.0%}{before[place]:>9.1%}{bound[place]:>9.1%}"
        )
        print(f"{key:<18}{numbers}{'' if middle <= 0.05 else '   misses 5 %'}")
    told = np.median([[fit.informed[key] for key in FITTED] for fit in fits], 0)
    print(
        "variance of the prior removed by the data: "
        + ", ".join(f"{k} {t:.0%}" for k, t in zip(FITTED, told, strict=True))
    )
    for patient, fit in enumerate(fits):
        if not fit.success:
            print(f"  patient {patient}: {fit.warning}")


def discretisation(patients: Cohort, steps: int) -> None:
    """Shift of the estimates because the fit takes fewer steps, to first order, percent."""
    task = Task(patients.heart, patients.measurements, patients.prior)
    scores = np.log(patients.truth / patients.prior.centre) / patients.prior.spread
    jacobian, _ = task.linearise(scores)
    fine = Task(
        replace(patients.heart, steps=steps, extrapolate=False), patients.measurements, patients.prior
    )
    apart = (fine.predict(scores[:, None]) - task.predict(scores[:, None]))[:, 0]
    covariance = np.linalg.inv(np.swapaxes(jacobian, 1, 2) @ jacobian + np.eye(len(FITTED)))
    shift = np.einsum("pij,pmj,pm->pi", covariance, jacobian, apart) * patients.prior.spread
    print("root mean square shift of a fit by its coarser steps, %: ", end="")
    mean = np.sqrt((shift**2).mean(0))
    print(", ".join(f"{k} {100 * v:.1f}" for k, v in zip(FITTED, mean, strict=True)))


def activation(seeds: range, points: int = 50, noise: float = 3.0, spacing: float = 4.0) -> None:
    """Velocity along the fibre and onset from maps of ventricles with early sites, speeds in one proportion.

    Truth and model are solved on the same grid, so this measures the fit, not the solver's error.
    """
    errors, inside = [], []
    started = time.perf_counter()
    for seed in seeds:
        random = np.random.default_rng([seed, 2])
        group = population.GROUPS[seed % len(population.GROUPS)]
        body = population.draw(group, np.random.default_rng([seed, 0]))
        anatomy = shape.build(population.stack([body], dtype=torch.float64))
        truth = {"velocity": float(random.uniform(0.4, 0.9)), "onset": float(random.uniform(0, 40))}
        wall = torch.isfinite(activate(anatomy, spacing=spacing).times[0]).nonzero()
        places = wall[torch.from_numpy(random.choice(len(wall), points, replace=False))]

        def arrival(velocities: Array, anatomy: Anatomy = anatomy, places: torch.Tensor = places) -> Array:
            usual = Speeds()
            rows = []
            for factor in velocities / usual.along:
                speeds = Speeds(
                    *(factor * v for v in (usual.along, usual.across, usual.layer, usual.entered))
                )
                times = activate(anatomy, speeds=speeds, spacing=spacing).times[0]
                rows.append(times[tuple(places.T)].numpy())
            return np.stack(rows)

        times = (
            arrival(np.array([truth["velocity"]]))[0]
            + truth["onset"]
            + noise * random.standard_normal(points)
        )
        fit = fit_activation(ActivationMap((places * spacing).tolist(), times.tolist(), noise), arrival)
        errors.append(
            [abs(fit.values["velocity"] / truth["velocity"] - 1), abs(fit.values["onset"] - truth["onset"])]
        )
        inside.append([low <= truth[name] <= high for name, (low, high) in fit.intervals.items()])
    seconds = (time.perf_counter() - started) / len(seeds)
    (speed, late), (first, second) = np.median(errors, 0), np.mean(inside, 0)
    print(f"{len(seeds)} maps of {points} points, noise {noise:g} ms; {seconds:.1f} s a map")
    print(f"velocity: median error {speed:.1%}, coverage of 90 % {first:.0%}")
    print(f"onset: median error {late:.2f} ms, coverage of 90 % {second:.0%}")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Personalisation of digital patients against their truth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument(
        "--first", type=int, default=0, help="first seed; 0 to 19 are for the record, not for tuning"
    )
    parser.add_argument("--frames", type=int, default=40, help="of a volume curve")
    parser.add_argument(
        "--noise", type=float, default=0.02, help="of a volume, share of the end-diastolic volume"
    )
    parser.add_argument("--cuff", type=float, default=3.0, help="noise of a cuff pressure, mmHg")
    parser.add_argument(
        "--widen", type=float, default=1.0, help="factor of the population's spreads in the prior"
    )
    parser.add_argument("--steps", type=int, default=400, help="steps a beat in the fit")
    parser.add_argument("--truth-steps", type=int, default=3200, help="steps a beat in the truth")
    parser.add_argument("--method", choices=("both", *METHODS), default="both")
    parser.add_argument("--unknown", action="store_true", help="what no clinic measures is only guessed")
    parser.add_argument(
        "--activation", action="store_true", help="fit activation maps instead of volume curves"
    )
    parser.add_argument(
        "--information", action="store_true", help="print what the data can tell, fit nothing"
    )
    return parser.parse_args()


def main() -> None:
    """Print the information or the table."""
    options = arguments()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    if options.activation:
        activation(range(options.first, options.first + options.patients))
        return
    curve = f"{options.frames} frames, noise {options.noise:.1%} of the end-diastolic volume"
    prior = f"prior {options.widen:g} × the population's spread"
    print(
        f"{options.patients} patients from seed {options.first}; {curve}; cuff {options.cuff:g} mmHg; {prior}"
    )
    seeds = range(options.first, options.first + options.patients)
    if options.information:
        patients = cohort(list(seeds), options)
        information(patients)
        discretisation(patients, options.truth_steps)
        return
    # Twenty at a time: more in one batch no longer fit the cache.
    parts = [cohort(list(seeds[start : start + 20]), options) for start in range(0, len(seeds), 20)]
    for name in METHODS if options.method == "both" else [options.method]:
        table(name, parts)


if __name__ == "__main__":
    main()
