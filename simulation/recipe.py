"""A recipe: what travels instead of a patient."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ground.files import write_atomically


@dataclass(frozen=True)
class Recipe:
    """How to make one digital patient: the same recipe gives the same patient, bit for bit.

    Attributes:
        simulator: name of the simulator that reads it.
        version: version of that simulator; another version may draw another patient.
        stratum: the group that the patient belongs to, one of the simulator's strata.
        seed: non-negative integer; different seeds give independent patients.
        parameters: what the caller fixes; anything absent is drawn.

    """

    simulator: str
    version: int
    stratum: str
    seed: int
    parameters: Mapping[str, float] = field(default_factory=dict)

    def canonical(self) -> str:
        """One line of JSON, keys sorted: equal recipes, equal text."""
        said = asdict(self) | {"parameters": {name: float(value) for name, value in self.parameters.items()}}
        return json.dumps(said, sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """SHA-256 of the canonical text, in hexadecimal: names the patient without naming anybody."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def entropy(self) -> int:
        """128 bits that seed the simulator's generator: the first half of the digest."""
        return int(self.digest()[:32], 16)


def write_recipes(recipes: Sequence[Recipe], file: Path) -> None:
    """One recipe a line, as JSON; atomic."""
    lines = [json.dumps(json.loads(recipe.canonical())) for recipe in recipes]
    write_atomically(file, "\n".join(lines) + "\n", 0o644)  # public: anybody may make these patients
