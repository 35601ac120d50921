"""Which heart a recipe asks for: a stratum is a line such as "group=infarct,territory=LAD,age=scar".

Keys left out are drawn. The canonical form sorts them, so that one stratum has one text and one recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ground.errors import UsageError
from simulation.heart.anatomy.population import GROUPS
from simulation.heart.imaging.scanner import SCANNERS
from simulation.heart.infarct import AGES, TERRITORIES
from simulation.recipe import Recipe

SIMULATOR = "heart"
VERSION = 2
KEYS = ("age", "group", "scanner", "segments", "territory")
# What each cohort of hearts draws from where its stratum does not say.
COHORTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "infarct": MappingProxyType({"group": "infarct"}),
        "ventricle-segmentation": MappingProxyType({}),
    }
)
PARAMETERS = ("extent", "transmurality", "severity")


@dataclass(frozen=True)
class Stratum:
    """What is fixed of a heart; None is drawn.

    Attributes:
        group: one of `anatomy.population.GROUPS`.
        territory: LAD, RCA or LCX.
        segments: AHA segments of the infarct, instead of a territory.
        age: of the infarct, acute or scar.
        scanner: one of `imaging.scanner.SCANNERS`.

    """

    group: str | None = None
    territory: str | None = None
    segments: tuple[int, ...] = ()
    age: str | None = None
    scanner: str | None = None

    def text(self) -> str:
        """The canonical line: keys sorted, those that are drawn left out; "any" where all are."""
        pairs = [(key, getattr(self, key)) for key in KEYS if getattr(self, key)]
        written = [(k, "+".join(map(str, v)) if k == "segments" else v) for k, v in pairs]
        return ",".join(f"{key}={value}" for key, value in written) or "any"


def parse(text: str, cohort: str | None = None) -> Stratum:
    """The stratum of a line; raises UsageError naming what is wrong and what may stand there."""
    said = dict(COHORTS[cohort]) if cohort else {}
    given: set[str] = set()
    for part in text.split(",") if text not in ("", "any") else ():
        key, equals, value = (each.strip() for each in part.partition("="))
        if not equals or key not in KEYS:
            raise UsageError(
                f"stratum {text!r}: {part.strip()!r} is not KEY=VALUE with a key of {', '.join(KEYS)}; "
                "for example territory=LAD"
            )
        if key in given:
            raise UsageError(f"stratum {text!r}: {key} is there twice")
        given.add(key)
        said[key] = value
    segments = _segments(said.pop("segments", ""), text)
    for key, known in _values().items():
        if key in said and said[key] not in known:
            raise UsageError(f"stratum {text!r}: no {key} {said[key]!r}; choose one of {', '.join(known)}")
    stratum = Stratum(segments=segments, **said)
    if segments and stratum.territory:
        raise UsageError(f"stratum {text!r}: give a territory or segments, not both")
    if stratum.group not in (None, "infarct") and (segments or stratum.territory or stratum.age):
        raise UsageError(f"stratum {text!r}: only group=infarct has a territory, segments or an age")
    if stratum.group is None and (segments or stratum.territory or stratum.age):
        return Stratum("infarct", stratum.territory, segments, stratum.age, stratum.scanner)
    return stratum


def recipes(stratum: str, count: int, seed: int, cohort: str | None = None) -> list[Recipe]:
    """Recipes of `count` independent hearts; the first ones do not depend on `count`."""
    if count < 0 or seed < 0:
        raise UsageError(f"{SIMULATOR}: count and seed must not be negative; give whole numbers from 0")
    text = parse(stratum, cohort).text()
    words = np.random.SeedSequence(seed).generate_state(count, np.uint64)
    # 53 bits: a whole number that every reader of JSON keeps exact.
    return [Recipe(SIMULATOR, VERSION, text, int(word) >> 11) for word in words]


def check(recipe: Recipe) -> Stratum:
    """The recipe's stratum; raises UsageError unless this simulator, in this version, can follow it."""
    if (recipe.simulator, recipe.version) != (SIMULATOR, VERSION):
        asked, here = f"{recipe.simulator!r} version {recipe.version}", f"{SIMULATOR} version {VERSION}"
        raise UsageError(f"{here}: the recipe is for {asked}; give it to that one, or write it for this one")
    stratum = parse(recipe.stratum)
    if stratum.text() != recipe.stratum:
        raise UsageError(f"recipe: stratum {recipe.stratum!r} is written {stratum.text()!r}")
    return stratum


def _values() -> dict[str, tuple[str, ...]]:
    return {
        "group": tuple(GROUPS),
        "territory": tuple(TERRITORIES),
        "age": AGES,
        "scanner": tuple(SCANNERS),
    }


def _segments(text: str, whole: str) -> tuple[int, ...]:
    """AHA segments of "7+8+13"."""
    if not text:
        return ()
    parts = text.split("+")
    if not all(each.strip().isascii() and each.strip().isdigit() and 1 <= int(each) <= 17 for each in parts):
        raise UsageError(f"stratum {whole!r}: segments are AHA numbers from 1 to 17, as in segments=7+8+13")
    return tuple(sorted({int(each) for each in parts}))
