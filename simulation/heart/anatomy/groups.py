"""The numbers that the hearts of each group are drawn from, each with its source or the word "assumed".

Sources:
    Petersen: Petersen et al. 2017, J Cardiovasc Magn Reson 19:18. UK Biobank, healthy adults of 45 to 74
        years, papillary muscles counted as blood, as here.
    Kawel: Kawel et al. 2012, Circ Cardiovasc Imaging 5:500. Wall thickness of 300 healthy participants of
        MESA.
    Olivotto: Olivotto et al. 2008, J Am Coll Cardiol 52:559. LV mass of 264 patients with hypertrophic
        cardiomyopathy, its correlation with the greatest wall thickness (r² 0.38), their sex and age.
    Sultan: Sultan, Saadia 2021, J Clin Imaging Sci 11:14. Greatest wall thickness of 74 such patients.
    Alfakih: Alfakih et al. 2003, J Magn Reson Imaging 17:323. LV mass of 60 healthy adults of 20 to 65 years.
    ACDC: Bernard et al. 2018, IEEE Trans Med Imaging 37:2514. What the groups of that data set must fulfil.
    Yokota: Yokota et al. 2008, J Cardiovasc Magn Reson 10:17. LV volume in 86 patients with ischaemic
        cardiomyopathy.
    Kwon: Kwon et al. 2009, JACC Cardiovasc Imaging 2:34. Scar of 349 such patients, as a share of the LV.
    Nordlund: Nordlund et al. 2019, BMC Cardiovasc Disord 19:161. Sex of 304 patients with a first infarct.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType


@dataclass(frozen=True)
class Spread:
    """A distribution of one measure: mean, standard deviation, and bounds that are never passed."""

    mean: float
    deviation: float
    low: float = -inf
    high: float = inf


BySex = tuple[Spread, Spread]  # women, men


@dataclass(frozen=True)
class Group:
    """How the hearts of one group differ from others'. Volumes and mass are per m² of body surface."""

    men: float  # share
    age_years: Spread
    edv_ml: BySex
    mass_g: BySex
    rv_edv_ml: BySex
    sphericity: Spread = Spread(0.60, 0.045, 0.45, 0.78)  # of the cavity: width over length; assumed
    flattening: Spread = Spread(0.0, 0.03, 0.0, 0.1)  # of the septum, see `Parameters`; assumed
    rv_wall_mm: Spread = Spread(3.0, 0.4, 2.0, 4.5)  # assumed
    rv_anterior_deg: Spread = Spread(72, 5, 55, 90)  # insertion; assumed
    rv_inferior_deg: Spread = Spread(-66, 5, -82, -50)  # insertion; assumed
    thickest_mm: Spread | None = None  # where the wall's greatest thickness is part of the disease


GROUPS: Mapping[str, Group] = MappingProxyType(
    {
        "normal": Group(
            men=0.46,  # Petersen: 368 men, 432 women
            age_years=Spread(60, 8, 45, 74),  # Petersen's range; mean and deviation assumed
            edv_ml=(Spread(74, 12, 48, 102), Spread(85, 15, 52, 122)),  # Petersen; bounds assumed
            # Halfway between Petersen (42 ± 7, 53 ± 9) and Alfakih (52 ± 7.4, 64.7 ± 9.3); bounds assumed.
            mass_g=(Spread(47, 7, 28, 66), Spread(58.9, 9, 36, 82)),
            rv_edv_ml=(Spread(77, 13, 48, 110), Spread(93, 17, 56, 135)),  # Petersen; bounds assumed
        ),
        "dilated": Group(
            men=0.7,  # assumed
            age_years=Spread(52, 14, 20, 85),  # assumed
            edv_ml=(Spread(125, 28, 100, 230), Spread(135, 34, 100, 250)),  # low: ACDC; the rest assumed
            mass_g=(Spread(66, 15, 38, 125), Spread(80, 19, 45, 150)),  # assumed
            rv_edv_ml=(Spread(85, 22, 45, 170), Spread(98, 26, 50, 190)),  # assumed
            sphericity=Spread(0.69, 0.06, 0.52, 0.88),  # rounder than the normal one; assumed
        ),
        "hypertrophic": Group(
            men=0.75,  # Olivotto
            age_years=Spread(43, 18, 18, 85),  # Olivotto; bounds assumed
            # Assumed: not larger than the normal one.
            edv_ml=(Spread(70, 12, 42, 102), Spread(76, 14, 45, 115)),
            mass_g=(Spread(89, 33, 45, 200), Spread(104, 40, 55, 240)),  # Olivotto; bounds assumed
            rv_edv_ml=(Spread(70, 13, 42, 105), Spread(80, 16, 45, 125)),  # assumed
            sphericity=Spread(0.57, 0.05, 0.43, 0.75),  # assumed
            rv_wall_mm=Spread(3.8, 0.8, 2.5, 7.0),  # assumed
            thickest_mm=Spread(21.1, 5.0, 15.0, 36.0),  # Sultan; low: the disease's definition
        ),
        "infarct": Group(
            men=0.78,  # Nordlund: 238 men, 66 women
            age_years=Spread(62, 11, 30, 90),  # assumed
            # The normal one, as it was before the infarct: what a scar makes of it is `dilation`.
            edv_ml=(Spread(74, 12, 48, 102), Spread(85, 15, 52, 122)),
            mass_g=(Spread(47, 7, 28, 66), Spread(58.9, 9, 36, 82)),
            rv_edv_ml=(Spread(74, 14, 45, 115), Spread(86, 18, 50, 140)),  # assumed
        ),
        "abnormal-rv": Group(
            men=0.55,  # assumed
            age_years=Spread(48, 16, 18, 85),  # assumed
            edv_ml=(Spread(70, 14, 42, 110), Spread(79, 17, 45, 125)),  # assumed
            mass_g=(Spread(48, 8, 29, 72), Spread(60, 11, 36, 94)),  # assumed: little above the normal one
            rv_edv_ml=(Spread(130, 24, 110, 230), Spread(140, 28, 110, 250)),  # low: ACDC; the rest assumed
            flattening=Spread(0.12, 0.07, 0.0, 0.28),  # by the RV's load; assumed
            rv_wall_mm=Spread(4.5, 1.2, 2.5, 8.0),  # assumed
            rv_anterior_deg=Spread(80, 5, 62, 100),  # assumed
            rv_inferior_deg=Spread(-76, 5, -92, -60),  # assumed
        ),
    }
)

# m²; the means are those between Petersen's absolute and indexed volumes (124 over 74, 166 over 85 mL).
BODY_SURFACE: BySex = (Spread(1.68, 0.12, 1.35, 2.1), Spread(1.95, 0.15, 1.55, 2.45))
MASS_WITH_VOLUME = 0.6  # correlation of LV mass and LV volume, both per m²; assumed
RIGHT_WITH_LEFT = 0.75  # correlation of RV and LV volume, both per m²; assumed
THICKEST_WITH_MASS = 0.62  # Olivotto

# How much larger a cavity is for a scar of the whole wall; so that an LV of Petersen's, 157 mL where 78 % are
# men, has Yokota's 231 mL at Kwon's scar of 31 %, if volume grows evenly with scar (assumed).
DILATION = 1.5
HEAVIER, ROUNDER = 0.6, 0.25  # powers of that with which mass and width over length grow; assumed

# How thick the segments of a normal wall are in relation to each other: thickest in the basal septum,
# thinnest at the apex. The order is Kawel's; the numbers are assumed.
NORMAL_WALL: tuple[float, ...] = (
    *(1.02, 1.16, 1.16, 1.05, 0.98, 0.98),
    *(0.93, 1.06, 1.08, 1.00, 0.93, 0.93),
    *(0.90, 0.96, 0.90, 0.88),
    0.55,
)
LEAST_WALL = 5.0  # mm for a 1 above, where hypertrophy is elsewhere; assumed
LOWEST_HILL, HIGHEST_HILL = 0.2, 4.0  # of the hypertrophied place above its surroundings; assumed
WALL_DEVIATION = 0.08  # of each segment, in relation; assumed
# What part of the wall's middle surface belongs to each segment of a normal heart; sums to one.
SURFACE: tuple[float, ...] = (*(0.36 / 6,) * 6, *(0.35 / 6,) * 6, *(0.24 / 4,) * 4, 0.05)

# Shape and pose, all assumed. Angles in degrees.
TRUNCATION = Spread(0.25, 0.03, 0.15, 0.35)
OVALITY = Spread(0.0, 0.03, -0.09, 0.09)
RV_CORNER = Spread(0.3, 0.05, 0.15, 0.5)
RV_APEX = Spread(0.09, 0.025, 0.03, 0.2)
# Negative turns the RV upwards, to where it lies in most short axes; by eye beside real ones, assumed.
ROTATION = Spread(-20, 14, -60, 25)
TILT = Spread(0, 3, -9, 9)
# Where hypertrophy is centred and how far it reaches: over the basal and mid septum in most; assumed.
HYPERTROPHY_ANGLE = Spread(10, 25, -60, 90)
HYPERTROPHY_HEIGHT = Spread(0.65, 0.15, 0.15, 0.9)  # longitudinal coordinate
HYPERTROPHY_WIDTH = Spread(55, 12, 30, 90)
HYPERTROPHY_LENGTH = Spread(0.35, 0.08, 0.2, 0.6)  # longitudinal coordinate
