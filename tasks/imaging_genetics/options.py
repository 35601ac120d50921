"""What a study of imaging genetics chooses: the table [options] of its text.

[options]
phenotypes = 200      # imaging columns, the same at every hospital
variants = 2000       # of the genotypes, the same at every hospital
components = 2
permutations = 99
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Annotated

from pydantic import Field, ValidationError

from ground.errors import StudyError
from ground.strict import Table, explain

PHENOTYPES, VARIANTS = 96, 2000


class Options(Table):
    """A study's choices; the defaults are those of the digital cohort.

    Attributes:
        phenotypes: imaging columns.
        variants: of the genotypes.
        panel: digest of the variants' list (`tasks.imaging_genetics.genotypes.panel`); "" where it is not
            checked that all hospitals count the same alleles in the same order.
        components: to be found.
        spare: weight vectors beyond the components that are iterated with them, which speeds convergence.
        block: how many components are found at once; each block is deflated before the next. 0: all.
        permutations: of patients within each hospital, for p-values; each costs `components` weight vectors.
        splits: random halvings of each hospital's patients, for reliability; each costs twice as many.

    """

    phenotypes: Annotated[int, Field(ge=1, le=10_000_000)] = PHENOTYPES
    variants: Annotated[int, Field(ge=1, le=100_000_000)] = VARIANTS
    panel: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    components: Annotated[int, Field(ge=1, le=100)] = 2
    spare: Annotated[int, Field(ge=0, le=100)] = 4
    block: Annotated[int, Field(ge=0, le=100)] = 0
    permutations: Annotated[int, Field(ge=0, le=10_000)] = 0
    splits: Annotated[int, Field(ge=0, le=1000)] = 0

    @property
    def stages(self) -> int:
        """How many blocks of components follow each other."""
        return -(-self.components // (self.block or self.components))


@lru_cache(maxsize=64)
def parse(text: str) -> Options:
    """From a study's options as JSON, defaults where they are empty; raises StudyError naming the key."""
    try:
        found = Options.model_validate(json.loads(text or "{}"))
    except ValidationError as error:
        raise StudyError(f"[options] {explain(error, Options)}") from error
    least = min(found.phenotypes, found.variants)
    if found.components > least:
        raise StudyError(
            f"[options] components = {found.components} of tables of {found.phenotypes} and {found.variants} "
            f"columns: there are at most {least}"
        )
    return found
