"""Digital patients in the layout of the UCI Heart Disease files (14 columns), one hospital a stratum.

Drawn from published numbers (`marginals` names the source of each, or says that it is assumed). Disease comes
first; most other columns depend on hospital and disease, two on age as well; findings on exertion share one
factor, so that they agree with each other as pain and ST depression were reported to.

What it is not: a replica of the real joint distribution. Disease acts alike in all hospitals; grades 1 to 4
differ only in how often they occur; given hospital, disease, age and that factor, columns are independent;
missing values fall at random. No real record is inside; summaries that others published of the same cohorts
are, so a model pretrained on these patients has seen those summaries.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, log1p, sqrt
from statistics import NormalDist
from types import MappingProxyType

import numpy as np

from ground.errors import UsageError
from simulation.recipe import Recipe
from simulation.tables import marginals
from simulation.tables.marginals import HOSPITALS, Hospital

SIMULATOR = "heart-disease-tables"
VERSION = 1
STRATA: tuple[str, ...] = tuple(HOSPITALS)

# Lowest value, highest value, decimals. Years, mm Hg, mg/dl, beats per minute, mm.
MEASURES: Mapping[str, tuple[float, float, int]] = MappingProxyType(
    {
        "age": (20, 90, 0),
        "trestbps": (80, 220, 0),
        "chol": (100, 600, 0),
        "thalach": (60, 205, 0),
        "oldpeak": (0, 6.5, 1),
    }
)
CODES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "sex": (0, 1),  # female, male
        "cp": (1, 2, 3, 4),  # typical angina, atypical angina, non-anginal pain, asymptomatic
        "fbs": (0, 1),
        "restecg": (0, 1, 2),  # normal, ST-T abnormality, hypertrophy
        "exang": (0, 1),
        "slope": (1, 2, 3),  # upsloping, flat, downsloping
        "ca": (0, 1, 2, 3),  # vessels
        "thal": (3, 6, 7),  # normal, fixed defect, reversible defect
        "num": (0, 1, 2, 3, 4),  # grade of disease
    }
)
COLUMNS: tuple[str, ...] = (
    *("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg"),
    *("thalach", "exang", "oldpeak", "slope", "ca", "thal", "num"),
)
_NORMAL = NormalDist()


def simulate(recipe: Recipe) -> dict[str, float | None]:
    """One patient, columns in the order of the files; None where the hospital recorded nothing.

    A column fixed by `recipe.parameters` keeps its value, is never missing, and acts only on columns drawn
    later: grade of disease (acts on all), sex, age (acts on pressure and heart rate), then the findings.
    """
    _check(recipe)
    hospital = HOSPITALS[recipe.stratum]
    random = np.random.Generator(np.random.PCG64(recipe.entropy()))
    patient = {column: float(value) for column, value in recipe.parameters.items()}
    _draw_person(patient, hospital, random)
    _draw_at_rest(patient, hospital, random)
    _draw_on_exertion(patient, hospital, random)
    lost = {column for column in COLUMNS if random.random() < hospital.missing.get(column, 0.0)}
    lost -= recipe.parameters.keys()
    return {column: None if column in lost else patient[column] for column in COLUMNS}


def recipes(stratum: str, count: int, seed: int) -> list[Recipe]:
    """Recipes of `count` independent patients of one stratum; the first ones do not depend on `count`."""
    _known_stratum(stratum)
    if count < 0 or seed < 0:
        raise UsageError(f"{SIMULATOR}: count and seed must not be negative; give whole numbers from 0")
    words = np.random.SeedSequence(seed).generate_state(count, np.uint64)
    # 53 bits: a whole number that every reader of JSON keeps exact.
    return [Recipe(SIMULATOR, VERSION, stratum, int(word) >> 11) for word in words]


def _draw_person(patient: dict[str, float], hospital: Hospital, random: np.random.Generator) -> None:
    """Grade of disease, sex, age."""
    patient.setdefault("num", _code(CODES["num"], hospital.grades, random.random()))
    sick = patient["num"] > 0
    prevalence = hospital.prevalence
    sick_men = _both(hospital.men, prevalence, marginals.SEX_ODDS_RATIO)
    men = sick_men / prevalence if sick else (hospital.men - sick_men) / (1 - prevalence)
    patient.setdefault("sex", float(random.random() < men))
    mean, deviation = hospital.age
    within = sqrt(deviation**2 - marginals.AGE_GAP**2 * prevalence * (1 - prevalence))
    years = mean + marginals.AGE_GAP * (sick - prevalence) + within * random.standard_normal()
    patient.setdefault("age", _measure("age", years))


def _draw_at_rest(patient: dict[str, float], hospital: Hospital, random: np.random.Generator) -> None:
    """Resting pressure, cholesterol, blood sugar, resting electrocardiogram, vessels seen by fluoroscopy."""
    sick = patient["num"] > 0
    excess = sick - hospital.prevalence
    pressure = hospital.pressure + marginals.PRESSURE_GAP * excess
    pressure += marginals.PRESSURE_PER_YEAR * (patient["age"] - hospital.age[0])
    pressure += marginals.PRESSURE_SPREAD * random.standard_normal()
    cholesterol = hospital.cholesterol + marginals.CHOLESTEROL_GAP * excess
    cholesterol += marginals.CHOLESTEROL_SPREAD * random.standard_normal()
    patient.setdefault("trestbps", _measure("trestbps", pressure))
    patient.setdefault("chol", _measure("chol", cholesterol))
    patient.setdefault("fbs", float(random.random() < hospital.sugar))
    patient.setdefault("restecg", _code(CODES["restecg"], hospital.resting, random.random()))
    patient.setdefault("ca", _code(CODES["ca"], marginals.VESSELS[sick], random.random()))


def _draw_on_exertion(patient: dict[str, float], hospital: Hospital, random: np.random.Generator) -> None:
    """Pain, heart rate, angina, ST depression and slope, thallium: worse together, by a Gaussian copula."""
    sick = patient["num"] > 0
    common = sqrt(marginals.CONCORDANCE) * random.standard_normal()
    severity = common + sqrt(1 - marginals.CONCORDANCE) * random.standard_normal(6)
    severity = np.clip(severity, -8, 8)  # keeps the probabilities below short of 0 and 1
    pain, _, angina, depression, slope, defect = (_NORMAL.cdf(float(value)) for value in severity)
    silent = marginals.ASYMPTOMATIC[sick]
    shares = [(1 - silent) * weight / sum(hospital.pain) for weight in hospital.pain]
    patient.setdefault("cp", _code((3, 2, 1, 4), (*shares, silent), pain))
    rate = (208 - 0.7 * patient["age"]) * marginals.EFFORT[sick] * hospital.effort
    rate -= marginals.EFFORT_SPREAD * float(severity[1])
    patient.setdefault("thalach", _measure("thalach", rate))
    patient.setdefault("exang", float(angina >= 1 - marginals.ANGINA_ON_EXERTION[sick]))
    scale, shape = marginals.DEPRESSION[sick]
    drop = hospital.depression * scale * (-log1p(-depression)) ** (1 / shape)
    patient.setdefault("oldpeak", _measure("oldpeak", drop))
    patient.setdefault("slope", _code(CODES["slope"], marginals.SLOPE[sick], slope))
    patient.setdefault("thal", _code(CODES["thal"], marginals.THALLIUM[sick], defect))


def _both(first: float, second: float, odds_ratio: float) -> float:
    """Probability of two events together, from that of each and their odds ratio (Plackett 1965)."""
    linear = 1 + (first + second) * (odds_ratio - 1)
    product = 4 * odds_ratio * (odds_ratio - 1) * first * second
    return (linear - sqrt(linear**2 - product)) / (2 * (odds_ratio - 1))


def _code(codes: tuple[int, ...], weights: tuple[float, ...], uniform: float) -> float:
    """The code at which the cumulated weights pass `uniform`, a number in [0, 1)."""
    bounds = np.cumsum(weights)
    place = int(np.searchsorted(bounds, uniform * bounds[-1], side="right"))
    return float(codes[min(place, len(codes) - 1)])


def _measure(column: str, value: float) -> float:
    """Rounded as the files are, and held inside the admissible range."""
    lowest, highest, decimals = MEASURES[column]
    return round(min(max(value, lowest), highest), decimals) + 0.0


def _check(recipe: Recipe) -> None:
    """Raise UsageError unless this simulator, in this version, can follow the recipe."""
    if (recipe.simulator, recipe.version) != (SIMULATOR, VERSION):
        asked, here = f"{recipe.simulator!r} version {recipe.version}", f"{SIMULATOR} version {VERSION}"
        raise UsageError(f"{here}: the recipe is for {asked}; give it to that one, or write it for this one")
    _known_stratum(recipe.stratum)
    for column, value in recipe.parameters.items():
        if column not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise UsageError(f"{SIMULATOR}: unknown parameter {column!r} in the recipe; fix one of {known}")
        _admissible(column, value)


def _known_stratum(stratum: str) -> None:
    if stratum not in STRATA:
        raise UsageError(f"{SIMULATOR}: unknown stratum {stratum!r}; choose one of {', '.join(STRATA)}")


def _admissible(column: str, value: float) -> None:
    if column in CODES:
        wanted = f"one of {', '.join(map(str, CODES[column]))}"
        good = value in CODES[column]
    else:
        lowest, highest, decimals = MEASURES[column]
        wanted = f"a number from {lowest} to {highest} in steps of {10**-decimals:g}"
        good = isfinite(value) and lowest <= value <= highest and round(value, decimals) == value
    if not good:
        raise UsageError(f"{SIMULATOR}: parameter {column!r} is outside what the files hold; give {wanted}")
