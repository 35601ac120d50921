"""Numbers behind the digital patients of `heart_disease`: where each was published, or that it is assumed.

Nothing here was computed by us from the records. Sources, by the letter used beside each number:

- N: `heart-disease.names`, the documentation of the UCI files (Aha 1988): patients by hospital and grade.
- C: Table 1 of "Comparative Study on Heart Disease Prediction Using Feature Selection Techniques on
  Classification Algorithms", Applied Computational Intelligence and Soft Computing 2021:5581806 (Cleveland).
- H: chapter "Summarizing Data" of Gennatas, "Programming for Data Science in R" (Budapest; OpenML 51).
- K: summaries printed in public notebooks, not peer reviewed: means by disease of Kaggle's copy of Cleveland
  ("heart-disease-uci", 303 rows), counts and ages by hospital of its copy of all four ("heart_disease_uci",
  920 rows, 918 in some). Both copies differ from N by a row or a label.
- G: Gianrossi et al., Circulation 1989;80:87-98: ST depression of 1 mm or more, 147 reports.
- W: Weiner et al., Am Heart J 1978;96:458-462: pain and ST depression together, 302 patients.
- T: Tanaka et al., J Am Coll Cardiol 2001;37:153-156: maximum heart rate by age.
- F: Table 1 of an exercise-testing cohort of 57 085 patients in Heart (BMJ): resting pressure by age group.

The table of clinical characteristics in Detrano et al., Am J Cardiol 1989;64:304-310, which describes the
same hospitals, was not available to us; its abstract agrees with N on Long Beach (75 % diseased).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

Shares = tuple[float, ...]
ByDisease = tuple[float, float]  # without disease, with disease


@dataclass(frozen=True)
class Hospital:
    """What was published, or is assumed, of one hospital's patients.

    Attributes:
        grades: patients of disease grade 0, 1, 2, 3, 4.
        men: share of men.
        age: mean and standard deviation, years.
        pressure: mean resting systolic blood pressure, mm Hg.
        cholesterol: mean serum cholesterol, mg/dl.
        sugar: share with a fasting blood sugar above 120 mg/dl.
        resting: share with a normal resting electrocardiogram, ST-T abnormality, hypertrophy.
        pain: weights of non-anginal pain, atypical angina, typical angina among patients with pain.
        effort: maximum heart rate relative to Cleveland patients of the same age and disease.
        depression: ST depression relative to the 1 mm rates of G.
        missing: by column, how often the value was not recorded.

    """

    grades: tuple[int, int, int, int, int]
    men: float
    age: tuple[float, float]
    pressure: float
    cholesterol: float
    sugar: float
    resting: Shares
    pain: Shares
    effort: float
    depression: float
    missing: Mapping[str, float]

    @property
    def prevalence(self) -> float:
        """Share of patients with disease, grade 1 to 4."""
        return 1 - self.grades[0] / sum(self.grades)


# Outside Cleveland: counts of all four hospitals (K) less those of Cleveland (C).
_SUGAR = (138 - 45) / (828 - 303)
_RESTING = (399 / 613, 174 / 613, 40 / 613)
_PAIN = (203 - 86, 173 - 50, 46 - 23)
_MISSING = {"slope": 309 / 617, "ca": (611 - 4) / 617, "thal": (486 - 2) / 617}

HOSPITALS: Mapping[str, Hospital] = MappingProxyType(
    {
        "cleveland": Hospital(
            grades=(164, 55, 36, 35, 13),  # N
            men=206 / 303,  # C
            age=(54.4, 9.0),  # K
            pressure=131.6,  # C
            cholesterol=246.6,  # C
            sugar=45 / 303,  # C
            resting=(151 / 303, 4 / 303, 148 / 303),  # C
            pain=(86, 50, 23),  # C
            effort=1.0,  # by definition
            depression=1.0,  # G as it stands; mean then 1.1 mm, published 1.03 (C)
            missing={"ca": 4 / 303, "thal": 2 / 303},  # documentation of HeartDisease in the R package MixAll
        ),
        "hungary": Hospital(
            grades=(188, 37, 26, 28, 15),  # N
            men=212 / 293,  # K (one row fewer than N)
            age=(47.8, 8.0),  # mean H; deviation assumed
            pressure=132.6,  # H
            cholesterol=250.8,  # H
            sugar=_SUGAR,
            resting=_RESTING,
            pain=_PAIN,
            effort=0.9,  # gives the published mean, 139.1 per minute (H)
            depression=0.58,  # gives the published mean, 0.59 mm (H)
            missing=_MISSING
            | {"ca": 291 / 294, "chol": 23 / 294, "trestbps": 1 / 294, "thalach": 1 / 294},  # H
        ),
        "switzerland": Hospital(
            grades=(8, 48, 32, 30, 5),  # N
            men=113 / 123,  # K
            age=(55.3, 9.0),  # mean K; deviation assumed
            pressure=131.6,  # assumed, as in Cleveland
            cholesterol=246.6,  # assumed, as in Cleveland
            sugar=_SUGAR,
            resting=_RESTING,
            pain=_PAIN,
            effort=0.9,  # assumed, as in Hungary
            depression=1.0,  # assumed, as in Cleveland
            missing=_MISSING,
        ),
        "long-beach": Hospital(
            grades=(51, 56, 41, 42, 10),  # N
            men=194 / 200,  # K
            age=(59.4, 8.0),  # mean K; deviation assumed
            pressure=131.6,  # assumed, as in Cleveland
            cholesterol=246.6,  # assumed, as in Cleveland
            sugar=_SUGAR,
            resting=_RESTING,
            pain=_PAIN,
            effort=0.9,  # assumed, as in Hungary
            depression=1.0,  # assumed, as in Cleveland
            missing=_MISSING,
        ),
    }
)

# Effects of disease, assumed equal in all hospitals.
SEX_ODDS_RATIO = (0.826 / 0.174) / (0.564 / 0.436)  # K: men among diseased and others; 3.7
AGE_GAP = 56.6 - 52.5  # K, years
PRESSURE_PER_YEAR = (142 - 123) / (75 - 34)  # F, mm Hg a year
PRESSURE_GAP = 134.4 - 129.3 - AGE_GAP * PRESSURE_PER_YEAR  # K less the part that age explains, mm Hg
CHOLESTEROL_GAP = 251.1 - 242.2  # K, mg/dl
ASYMPTOMATIC: ByDisease = (104 / 411, 392 / 509)  # K, all hospitals
ANGINA_ON_EXERTION: ByDisease = (0.139, 0.551)  # K
# Maximum heart rate over 208 - 0.7 age (T), from the means by disease (K): 158.5 and 139.1 per minute.
EFFORT: ByDisease = (158.5 / (208 - 0.7 * 52.5), 139.1 / (208 - 0.7 * 56.6))
# Weibull scale (mm) and shape of ST depression: 0.95 mm is passed by 23 % and 68 %, as in G. Family assumed;
# the means are 0.65 and 1.62 mm, published 0.58 and 1.59 (K).
DEPRESSION: tuple[tuple[float, float], tuple[float, float]] = ((0.65, 1.0), (1.8, 1.5))
# Upsloping, flat, downsloping: from the mean codes (K); 7 % downsloping (C), in both groups (assumed).
SLOPE: tuple[Shares, Shares] = ((0.664, 0.266, 0.07), (0.237, 0.693, 0.07))
# 0 to 3 vessels: shape assumed, near the counts (C: 176, 65, 38, 24) and the means 0.36 and 1.17 (K).
VESSELS: tuple[Shares, Shares] = ((0.79, 0.13, 0.05, 0.03), (0.33, 0.32, 0.20, 0.15))
# Normal, fixed, reversible: from the mean codes (K); 6 % fixed (C), in both groups (assumed).
THALLIUM: tuple[Shares, Shares] = ((0.76, 0.06, 0.18), (0.34, 0.06, 0.60))

# Spread around the means above.
PRESSURE_SPREAD = 17.0  # mm Hg; total 17.6 in Cleveland (K); elsewhere assumed
CHOLESTEROL_SPREAD = 51.5  # mg/dl; total 51.8 in Cleveland (K); elsewhere assumed
EFFORT_SPREAD = 20.0  # per minute; total 22.9 in Cleveland (K); elsewhere assumed
# Pain and ST depression agree with odds ratio 2.0 among the diseased and 2.1 among the others (W, from the
# counts 85, 87, 25, 105 with 95, 75, 72, 28 % diseased): a tetrachoric correlation near 0.27. That all
# findings on exertion share it, through one common factor, is assumed.
CONCORDANCE = 0.27
