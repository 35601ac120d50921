"""One site's patients: chromosomes variant by variant, then everything that follows from them.

Every random draw belongs to a stream named by the seed and what it is for: the same seed with another
parameter of the image gives the same people with the same genotypes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from simulation.cohort import measures, panel, progression
from simulation.cohort.effects import Effects, effects
from simulation.cohort.haplotypes import Copying, Genotype
from simulation.cohort.panel import Panel
from simulation.cohort.progression import People
from simulation.cohort.terms import Terms, terms
from simulation.recipe import Recipe

Floats = npt.NDArray[np.float64]
Keep = Callable[[slice, Genotype], None]


def _let_go(where: slice, values: Genotype) -> None:
    """Genotypes that nobody wants."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One site's patients, shape (patient, ...) each; what is missing is NaN in a table of its own channel.

    Attributes:
        people: who they are.
        score: the genetic score in standard deviations of its ancestry.
        tables: channel -> column -> values.
        missing: channel -> who lacks it.

    """

    people: People
    score: Floats
    tables: Mapping[str, Mapping[str, Floats]]
    missing: Mapping[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Cohort:
    """A recipe and how many patients it is made for.

    Attributes:
        recipe: of `terms.recipe`.
        count: patients at all sites together.
        given: a user's own panel instead of the drawn one.

    """

    recipe: Recipe
    count: int
    given: Panel | None = None

    @cached_property
    def terms(self) -> Terms:
        """Every number."""
        said = terms(self.recipe)
        if self.given is None:
            return said
        own = {"variants": self.given.variants, "ancestries": self.given.ancestries,
               "haplotypes": self.given.haplotypes}  # fmt: skip
        return Terms({**said.whole, **own}, said.sites)

    @cached_property
    def panel(self) -> Panel:
        """The reference haplotypes."""
        return self.given or panel.drawn(self.terms, self.stream("panel"))

    @cached_property
    def effects(self) -> Effects:
        """What acts, and where."""
        return effects(self.terms, self.panel, self.stream("effects"))

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Patients at each site: largest remainders of the shares, at least one each."""
        shares = np.asarray([site["share"] for site in self.terms.sites])
        exact = shares / shares.sum() * self.count
        whole = np.maximum(np.floor(exact).astype(int), 1)
        for number in np.argsort(np.floor(exact) - exact, kind="stable"):
            if whole.sum() < self.count:
                whole[number] += 1
        return tuple(int(each) for each in whole)

    def stream(self, purpose: str, site: int = 0) -> np.random.Generator:
        """The generator of that purpose at that site."""
        words = [self.recipe.version, self.recipe.seed, zlib.crc32(purpose.encode()), site]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))

    def make(self, site: int, keep: Keep = _let_go) -> Measured:
        """The patients of site number `site`; `keep` is given their genotypes, eight variants at a time."""
        own, truth = self.terms.sites[site], self.effects
        count, kinds = self.counts[site], self.panel.ancestries
        ancestry = progression.ancestries(count, own, kinds, self.stream("ancestry", site))
        score = -truth.means[ancestry]
        copying, causal = Copying.of(self.panel, self.terms), 0
        for where, values in copying.blocks(ancestry, self.stream("chromosomes", site)):
            while causal < len(truth.causal) and truth.causal[causal] < where.stop:
                score += truth.weights[ancestry, causal] * values[truth.causal[causal] - where.start]
                causal += 1
            keep(where, values)
        those = progression.people(ancestry, score, own, self.terms, self.stream("people", site))
        return Measured(
            those,
            score,
            self._tables(those, score, site),
            measures.missing(those, own, self.stream("missing", site)),
        )

    def _tables(self, those: People, score: Floats, site: int) -> dict[str, dict[str, Floats]]:
        picture = measures.image(those, score, site, self.terms, self.effects, self.stream("image", site))
        active = measures.activity(those, self.terms, self.stream("activity", site))
        return {
            "person": {"age": those.age, "male": those.male},
            "csf": measures.csf(those, self.stream("csf", site)),
            "cognition": measures.cognition(those, self.terms, self.stream("cognition", site)),
            "imaging": {f"x{place:05d}": column for place, column in enumerate(picture.T)},
            "behaviour": {f"h{hour:03d}": column for hour, column in enumerate(active.T)},
        }
