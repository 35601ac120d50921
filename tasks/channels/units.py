"""From a hospital's unit to the study's, by pint; units that pint does not know must be written alike."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _registry() -> Any:
    from pint import UnitRegistry

    return UnitRegistry(on_redefinition="ignore")


@lru_cache(maxsize=1024)
def factor(given: str, wanted: str) -> tuple[float, float] | None:
    """(scale, offset): wanted = scale · given + offset; None where the one cannot become the other."""
    if given == wanted:
        return 1.0, 0.0
    if not given or not wanted:
        return None
    try:
        registry = _registry()
        zero, one = (float(registry.Quantity(each, given).to(wanted).magnitude) for each in (0.0, 1.0))
    except Exception:  # pint's many kinds, and its parser's: all mean that there is no way
        return None
    return one - zero, zero
