"""Who contributed to which round, short enough to be read: rounds 1–7, 9 and 12–20."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Contributor:
    """One hospital: its name, to how many rounds it contributed, and to which."""

    name: str
    count: int
    rounds: str


def contributors(result: Mapping[str, Any]) -> list[Contributor]:
    """Every hospital of a result, in its order; those who contributed to nothing too."""
    by_name: dict[str, list[int]] = {each["name"]: [] for each in result["hospitals"]}
    for record in result.get("history", ()):
        for name in record.get("contributors", ()):
            by_name.setdefault(name, []).append(int(record["after"]) + 1)
    return [Contributor(name, len(rounds), ranges(rounds)) for name, rounds in by_name.items()]


def ranges(numbers: Sequence[int]) -> str:
    """Numbers in growing order, neighbours drawn together: "1–3, 5"; "none" of none."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in runs) or "none"
