"""Checks the digital heart against exact solutions, and writes what it finds into docs/verification.md.

    python benchmarks/heart_verification.py [--out docs/verification.md]

Every table comes from the benchmark of its part (`heart_population`, `heart_electrophysiology`,
`heart_mechanics`, `heart_motion`, `heart_physiology`), whose `tables()` gives (title, header, rows).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import heart_electrophysiology
import heart_mechanics
import heart_motion
import heart_physiology
import heart_population
import torch

INTRODUCTION = """# Verification of the digital heart

Printed by `python benchmarks/heart_verification.py`, which computes every number below; nothing is edited by
hand. The same facts are held by tests in `tests/simulation/heart/`, with tolerances.
"""
PARTS = (
    ("Anatomy", heart_population),
    ("Electrophysiology", heart_electrophysiology),
    ("Mechanics", heart_mechanics),
    ("Motion", heart_motion),
    ("Whole hearts", heart_physiology),
)

Table = tuple[str, Sequence[str], Sequence[Sequence[object]]]


def main() -> None:
    """Compute, print, write."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--out", type=Path, default=Path("docs/verification.md"))
    parser.add_argument("--only", choices=[name.lower() for name, _ in PARTS], help="one part, printed only")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    text = [INTRODUCTION]
    for name, part in PARTS:
        if asked.only not in (None, name.lower()):
            continue
        start = time.perf_counter()
        text += [f"## {name}\n", *(section for table in part.tables() for section in markdown(table))]
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    written = "\n".join(text)
    print(written)
    if asked.only is None:
        asked.out.write_text(written)


def markdown(table: Table) -> Iterator[str]:
    """Lines of one table."""
    title, header, rows = table
    yield f"### {title}\n"
    yield "| " + " | ".join(header) + " |"
    yield "|" + " --- |" * len(header)
    yield from ("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
    yield ""


if __name__ == "__main__":
    main()
