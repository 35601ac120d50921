"""What is measured in patients: image, CSF, cognition, activity; and what of it is missing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from simulation.cohort.effects import Effects, field
from simulation.cohort.progression import People
from simulation.cohort.terms import Terms

HOURS = 7 * 24
PEAK = 15.0  # o'clock, of activity
RESTLESS = 0.6  # correlation of activity from hour to hour, beyond the day's rhythm
INFORMATIVE = ("csf", "cognition")  # channels that the very ill lack more often
CHANNELS = ("csf", "cognition", "imaging", "behaviour")
Floats = npt.NDArray[np.float64]


def image(
    those: People, score: Floats, number: int, terms: Terms, truth: Effects, random: np.random.Generator
) -> Floats:
    """Phenotypes at site `number`, shape (patient, phenotype), in standard deviations of healthy ones:

    covariates + offset + scale · (inherited mode + noise), as ComBat's model has it (Johnson et al. 2007).
    """
    site, heritable = terms.sites[number], terms["heritability"]
    mode = np.sqrt(heritable) * score + np.sqrt(1 - heritable) * random.standard_normal(len(those))
    covariates = (
        np.outer(terms["age-effect"] * (those.age - 72), truth.aging)
        + np.outer(terms["sex-effect"] * those.male, truth.sex)
        - np.outer(terms["atrophy"] * those.abnormal("structure"), truth.atrophy)
    )
    residual = np.outer(terms["mode"] * mode, truth.mode) + field(len(those), terms, random)
    found: Floats = covariates + truth.offsets[number] + site["scale"] * residual
    return found


def csf(those: People, random: np.random.Generator) -> dict[str, Floats]:
    """Of cerebrospinal fluid, pg/mL: log-normal, shifted by amyloid and tau."""
    amyloid, tau = those.abnormal("amyloid"), those.abnormal("tau")
    common = random.standard_normal(len(those))  # tau and p-tau rise and fall together

    def drawn(median: float, factor: float, marker: Floats, spread: float, shared: float) -> Floats:
        noise = shared * common + np.sqrt(1 - shared**2) * random.standard_normal(len(those))
        value: Floats = np.exp(np.log(median) + np.log(factor) * marker + spread * noise)
        return value.round(2)

    return {
        "abeta42": drawn(1000, 0.45, amyloid, 0.25, 0.0),
        "tau": drawn(220, 2.0, tau, 0.3, 0.9),
        "ptau": drawn(22, 2.2, tau, 0.3, 0.9),
    }


def cognition(those: People, terms: Terms, random: np.random.Generator) -> dict[str, Floats]:
    """Scores in whole points: the healthy reach the screening's ceiling, and the errors' floor."""
    worse, top = those.abnormal("cognition"), terms["ceiling"]
    tired = 0.03 * (those.age - 72)
    screening = 0.97 * top - 0.45 * top * worse - tired + 1.3 * random.standard_normal(len(those))
    errors = 4 + 32 * worse + 2 * tired + 4 * random.standard_normal(len(those))
    recall = 5.5 - 5 * worse - tired + 1.5 * random.standard_normal(len(those))
    return {
        "screening": np.clip(screening.round(), 0, top),
        "errors": np.clip(errors.round(), 0, 70),
        "recall": np.clip(recall.round(), 0, 10),
    }


def activity(those: People, terms: Terms, random: np.random.Generator) -> Floats:
    """Counts an hour, shape (patient, hour) from Monday midnight on: a day's rhythm that disease flattens."""
    hours = np.arange(HOURS)
    ill = those.abnormal("behaviour")
    peak = PEAK + random.standard_normal(len(those)) + 2 * ill * random.standard_normal(len(those))
    rhythm = np.cos(2 * np.pi * (hours - peak[:, None]) / 24)
    noise = random.standard_normal((len(those), HOURS))
    for hour in range(1, HOURS):
        noise[:, hour] = RESTLESS * noise[:, hour - 1] + np.sqrt(1 - RESTLESS**2) * noise[:, hour]
    amplitude = terms["rhythm"] * (1 - 0.6 * ill)
    level = terms["rhythm"] * (1.1 - 0.3 * ill)
    counts = level[:, None] + amplitude[:, None] * rhythm + 0.35 * terms["rhythm"] * noise
    return np.clip(counts.round(), 0, None)


def missing(
    those: People, site: Mapping[str, float], random: np.random.Generator
) -> dict[str, npt.NDArray[np.bool_]]:
    """Channel -> who lacks it: at random, and for `INFORMATIVE` ones the more the further the disease."""
    absent, cognition = {}, those.abnormal("cognition")
    for channel in CHANNELS:
        probability = np.full(len(those), site["missing"])
        if channel in INFORMATIVE and site["missing"] > 0:
            odds = np.log(site["missing"] / (1 - site["missing"])) + site["informative"] * cognition
            probability = 1 / (1 + np.exp(-odds))
        absent[channel] = random.random(len(those)) < probability
    return absent
