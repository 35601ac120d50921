"""What a cohort's recipe may say: every effect is a number with a default, a range and a meaning.

All defaults are assumed: plausible sizes, from no study. A recipe names what it changes;
`site-2.offset` is the scanner offset of the second site.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ground.errors import UsageError
from simulation.recipe import Recipe

SIMULATOR, VERSION = "cohort", 1
BLOCK = 8  # variants that are inherited together: one machine word
SITES = 4
MOST_SITES = 20


@dataclass(frozen=True)
class Parameter:
    """One number of a recipe: its default, its range, and what it is."""

    default: float
    low: float
    high: float
    meaning: str
    whole: bool = False

    def checked(self, name: str, value: float) -> float:
        """The value, where it may be that; raises UsageError."""
        if not (self.low <= value <= self.high) or (self.whole and value != int(value)):
            kind = "a whole number" if self.whole else "a number"
            raise UsageError(f"{name}: is {kind} from {self.low:g} to {self.high:g} ({self.meaning})")
        return value


PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "sites": Parameter(SITES, 1, MOST_SITES, "hospitals", whole=True),
        "variants": Parameter(2000, BLOCK, 4_000_000, "made in multiples of 8", whole=True),
        "haplotypes": Parameter(64, 2, 4096, "of each ancestry's panel", whole=True),
        "ancestries": Parameter(2, 1, 5, "populations with allele frequencies of their own", whole=True),
        "divergence": Parameter(0.05, 0, 0.5, "F_ST between an ancestry and their common origin"),
        "linkage": Parameter(0.9, 0, 0.999, "correlation of neighbours on the panel's chain"),
        "spacing": Parameter(3000, 1, 1e6, "base pairs between neighbouring variants"),
        "recombination": Parameter(10, 0, 1e4, "changes of the copied haplotype per million base pairs"),
        "copying-error": Parameter(0, 0, 0.1, "probability that a copied allele is the other one"),
        "causal": Parameter(20, 0, 10_000, "variants that act on the image", whole=True),
        "heritability": Parameter(0.4, 0, 0.95, "share of the first image mode's variance"),
        "risk": Parameter(1, 0, 10, "years that a standard deviation of the genetic score brings disease on"),
        "side": Parameter(16, 2, 400, "image phenotypes across and down", whole=True),
        "smoothness": Parameter(0.8, 0, 0.99, "correlation of neighbouring phenotypes' noise"),
        "mode": Parameter(0.5, 0, 5, "standard deviations of phenotypes that the inherited mode moves"),
        "age-effect": Parameter(-0.03, -1, 1, "standard deviations of a phenotype a year, at its most"),
        "sex-effect": Parameter(0.3, -3, 3, "men over women, standard deviations, at its most"),
        "atrophy": Parameter(2, 0, 10, "standard deviations lost in full disease, at its most"),
        "shift": Parameter(2, 0, 20, "standard deviation of the time shift of patients, years"),
        "span": Parameter(18, 1, 60, "years of disease over which ill patients are seen"),
        "ceiling": Parameter(30, 1, 100, "highest cognition score", whole=True),
        "rhythm": Parameter(60, 0, 500, "day's amplitude of activity, counts an hour"),
    }
)
SITE_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "share": Parameter(1, 0.001, 1000, "of the patients, in relation to the other sites'"),
        "cases": Parameter(0.5, 0, 1, "share of its patients who are ill"),
        "ancestry": Parameter(0.5, 0, 1, "share of its patients of the first ancestry"),
        "offset": Parameter(0.3, 0, 10, "of the scanner: root mean square, standard deviations"),
        "scale": Parameter(1, 0.1, 10, "of the scanner: factor of all that covariates do not explain"),
        "missing": Parameter(0.05, 0, 0.95, "probability that a channel is missing, at random"),
        "informative": Parameter(1, 0, 10, "log odds of lacking CSF and cognition, the very ill over others"),
    }
)
# Sites differ where the recipe says nothing: share of cases, first ancestry, scale.
_DIFFERENT: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {"cases": (0.2, 0.35, 0.5, 0.65), "ancestry": (0.9, 0.7, 0.5, 0.3), "scale": (1.0, 1.2, 0.9, 1.1)}
)


@dataclass(frozen=True)
class Terms:
    """All numbers of a cohort: `PARAMETERS` by name, and those of each site."""

    whole: Mapping[str, float]
    sites: tuple[Mapping[str, float], ...]

    def __getitem__(self, name: str) -> float:
        return self.whole[name]

    def count(self, name: str) -> int:
        """A whole number."""
        return int(self.whole[name])

    @property
    def variants(self) -> int:
        """As many as are made: whole blocks."""
        return math.ceil(self.count("variants") / BLOCK) * BLOCK

    @property
    def names(self) -> tuple[str, ...]:
        """Of the sites."""
        return tuple(f"site-{number + 1}" for number in range(len(self.sites)))


def recipe(stratum: str, seed: int) -> Recipe:
    """A cohort's recipe from "KEY=VALUE,KEY=VALUE"; raises UsageError for an unknown key or a wrong value."""
    said: dict[str, float] = {}
    for part in filter(None, (each.strip() for each in stratum.split(","))):
        name, equals, text = part.partition("=")
        try:
            said[name.strip()] = float(text)
        except ValueError:
            raise UsageError(f"stratum {part!r}: write KEY=NUMBER, comma between") from None
        if not equals:
            raise UsageError(f"stratum {part!r}: write KEY=NUMBER, comma between")
    made = Recipe(SIMULATOR, VERSION, "cohort", seed, said)
    terms(made)
    return made


def terms(made: Recipe) -> Terms:
    """All numbers of this recipe; raises UsageError where it says something that is not known."""
    if (made.simulator, made.version) != (SIMULATOR, VERSION):
        raise UsageError(
            f"this recipe is for {made.simulator} {made.version}: {SIMULATOR} {VERSION} is installed"
        )
    known = _known(int(made.parameters.get("sites", SITES)))
    for name in made.parameters:
        if name not in known:
            own = ", ".join(f"site-1.{each}" for each in SITE_PARAMETERS)
            raise UsageError(
                f"a cohort has no {name!r}: it has {', '.join(PARAMETERS)} and, of each site, {own}"
            )
    value = {
        name: each.checked(name, float(made.parameters.get(name, each.default)))
        for name, each in known.items()
    }
    sites = tuple(
        MappingProxyType({name: value[f"site-{number + 1}.{name}"] for name in SITE_PARAMETERS})
        for number in range(int(value["sites"]))
    )
    if value["causal"] > math.ceil(value["variants"] / BLOCK) * BLOCK:
        raise UsageError("causal: more causal variants than there are variants")
    return Terms(MappingProxyType({name: value[name] for name in PARAMETERS}), sites)


def _known(sites: int) -> dict[str, Parameter]:
    """Every parameter of a cohort of so many sites, with its default."""
    known = dict(PARAMETERS)
    for number in range(max(0, min(sites, MOST_SITES))):
        for name, each in SITE_PARAMETERS.items():
            chosen = _DIFFERENT.get(name, (each.default,))
            default = chosen[number % len(chosen)]
            known[f"site-{number + 1}.{name}"] = Parameter(default, each.low, each.high, each.meaning)
    return known
