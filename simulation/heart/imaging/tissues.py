"""What the tissues of a chest are to a scanner: relaxation times and proton density, each with its source.

Sources, by the letter beside each number:

- S: Stanisz et al., Magn Reson Med 2005;54:507-512 (37 °C, 1.5 T and 3 T).
- G: Granitz et al., Wien Klin Wochenschr 2019;131:143-155: 60 healthy volunteers, both fields (abstract).
- B: de Bazelaire et al., Radiology 2004;230:652-659: volunteers, both fields (3 T also in the abstract).
- W: chronic infarction at 3 T, 105 patients of three centres, PMC7363195 (abstract): 1621 ms, remote 1225 ms.
- V: Verhaert et al., JACC Cardiovasc Imaging 2011;4:269-278: T2 of oedema 69 ms at 1.5 T.
- U: Ugander et al., JACC Cardiovasc Imaging 2012;5:596-603 (abstract), dogs, in the area at risk of an acute
  infarct: T1 1133 ms against 915 ms remote, T2 71 ms against 49 ms.
- K: J Cardiovasc Magn Reson 2013;15:11 (abstract): T1 15 minutes after gadolinium, remote myocardium 541 ms.
  One field in the study; used for both here.
- H: Han et al., J Magn Reson Imaging 2009, PMC2862561 (abstract): after gadolinium the T1 of healthy people's
  blood is 152 ms shorter than that of their myocardium.
- P: Biglands et al., J Cardiovasc Magn Reson 2012;14:66, figure 18: from 5 to 15 minutes after gadolinium the
  T1 of blood and of healthy myocardium rises while a scar's stays low: the lowest of the three. The figure
  gives the order; the number here is assumed.
- a: assumed.

Proton densities are relative to water and assumed throughout, in the order of tissue water content. `kept`
is the share of the balanced steady state that magnetisation transfer leaves: that bSSFP shows solid tissue
darker than its relaxation times say is in Bieri & Scheffler, Magn Reson Med 2006;56:1067-1074; its size for
each tissue is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ground.errors import UsageError

# Channels of the heart's tissue fractions, in this order.
HEART = (
    "lv_blood",
    "myocardium",
    "rv_blood",
    "rv_wall",
    "scar",
    "oedema",
    "papillary",
    "atrial_blood",
    "rv_trabeculae",
)
# What fills the rest of a voxel, in the order of the surroundings' fractions.
SURROUNDINGS = (
    "air",
    "lung",
    "fat",
    "muscle",
    "liver",
    "spleen",
    "stomach",
    "aorta",
    "spine",
    "cartilage",
    "vessel",
    "skin",
)


@dataclass(frozen=True)
class Tissue:
    """One tissue.

    Attributes:
        t1: T1 at 1.5 T and 3 T, ms.
        t2: T2 at 1.5 T and 3 T, ms.
        density: protons relative to water.
        kept: share of the bSSFP signal left by magnetisation transfer.
        enhanced_t1: T1 some 15 minutes after gadolinium, ms.
        fatty: resonates as lipid does, 3.4 ppm below water.

    """

    t1: tuple[float, float]
    t2: tuple[float, float]
    density: float
    kept: float
    enhanced_t1: float
    fatty: bool = False


_BLOOD = Tissue((1441, 1932), (290, 275), 0.95, 1.0, 389)  # S; gadolinium K less H
_MYOCARDIUM = Tissue((996, 1184), (55.8, 51.6), 0.8, 0.85, 541)  # G; gadolinium K

TISSUES: Mapping[str, Tissue] = MappingProxyType(
    {
        "lv_blood": _BLOOD,
        "rv_blood": _BLOOD,
        "atrial_blood": _BLOOD,
        "vessel": _BLOOD,
        "aorta": _BLOOD,
        "myocardium": _MYOCARDIUM,
        "rv_wall": _MYOCARDIUM,
        "papillary": _MYOCARDIUM,
        "rv_trabeculae": _MYOCARDIUM,
        "scar": Tissue((1200, 1621), (55.8, 51.6), 0.8, 0.9, 300),  # 3 T: W; 1.5 T: a; T2 as healthy: a; P
        # T1: healthy times U's 1.24; T2 at 1.5 T: V, at 3 T in proportion; the rest a. In a cine 1.19 times
        # as bright as healthy muscle.
        "oedema": Tissue((1233, 1468), (69, 64), 0.85, 0.95, 300),
        "fat": Tissue((343, 382), (58, 68), 0.9, 1.0, 330, fatty=True),  # B; gadolinium a
        "liver": Tissue((586, 809), (46, 34), 0.75, 0.8, 400),  # B; gadolinium a
        "spleen": Tissue((1057, 1328), (79, 61), 0.8, 0.8, 420),  # B; gadolinium a
        "skin": Tissue((900, 1100), (30, 28), 0.7, 0.8, 600),  # a
        "muscle": Tissue((1008, 1412), (44, 50), 0.75, 0.75, 650),  # S; gadolinium a
        "spine": Tissue((549, 586), (49, 49), 0.5, 0.8, 450),  # B, vertebra; gadolinium a
        "stomach": Tissue((1000, 1200), (50, 45), 0.75, 0.8, 600),  # a: wall and mixed contents
        "cartilage": Tissue((1000, 1200), (20, 20), 0.35, 0.7, 800),  # a: ribs and their cartilage, dark
        # A quarter of the lung is tissue and blood (density near 0.25 g/mL); relaxation times assumed.
        "lung": Tissue((1200, 1300), (40, 35), 0.25, 0.8, 700),
        "air": Tissue((1000, 1000), (10, 10), 0.0, 1.0, 1000),
    }
)


def at(name: str, field_t: float) -> tuple[float, float]:
    """T1 and T2 in ms of a tissue at 1.5 T or 3 T; UsageError for another field."""
    if field_t not in (1.5, 3.0):
        raise UsageError(f"No relaxation times at {field_t:g} T; the tissues are known at 1.5 T and 3 T")
    column = 0 if field_t == 1.5 else 1
    tissue = TISSUES[name]
    return tissue.t1[column], tissue.t2[column]
