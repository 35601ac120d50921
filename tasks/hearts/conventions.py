"""Which number means which structure in a label file: everybody numbers them otherwise.

The default is that of ACDC and of `laennec patients`: 1 right cavity, 2 myocardium, 3 left cavity. M&Ms has
1 left cavity, 2 myocardium, 3 right cavity. A hospital says so in a file `labels.toml` in its folder::

    [labels]
    lv = 1
    myocardium = 2
    rv = 3

Where `myocardium` or `rv` is left out, every pixel that is not the left cavity counts as unknown.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ground.errors import DataError
from tasks.hearts.patients import BACKGROUND, LEFT, MYOCARDIUM, NOT_LEFT, RIGHT

FILE = "labels.toml"
NAMES = {"lv": LEFT, "myocardium": MYOCARDIUM, "rv": RIGHT}
DEFAULT: Mapping[str, int] = {"lv": 3, "myocardium": 2, "rv": 1}

Labels = npt.NDArray[np.uint8]


def said(folder: Path, given: Mapping[str, int] | None) -> Mapping[str, int]:
    """The folder's own labels.toml, else what is given, else the default; raises DataError."""
    file = folder / FILE
    if not file.is_file():
        return DEFAULT if given is None else checked(given, "labels")
    try:
        with file.open("rb") as stream:
            table = tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file}: is not TOML: write [labels], then lv = 3 and so on") from error
    if set(table) != {"labels"} or not isinstance(table["labels"], dict):
        raise DataError(f"{file}: holds something else than one table: write [labels], then lv = 3 and so on")
    return checked(table["labels"], str(file))


def checked(labels: Mapping[str, object], where: str) -> Mapping[str, int]:
    """The same mapping; raises DataError where a structure is unknown or two have one number."""
    unknown = [name for name in labels if name not in NAMES]
    if unknown:
        raise DataError(f"{where}: no structure {unknown[0]!r}: they are {', '.join(NAMES)}")
    numbers = {name: n for name, n in labels.items() if isinstance(n, int) and not isinstance(n, bool)}
    if len(numbers) < len(labels) or any(not 1 <= number <= 255 for number in numbers.values()):
        raise DataError(f"{where}: a label is not a whole number from 1 to 255; background is 0")
    if len(set(numbers.values())) < len(numbers):
        raise DataError(f"{where}: two structures have the same number: give each its own")
    if "lv" not in numbers:
        raise DataError(f"{where}: lv is missing: say which number is the left cavity")
    return numbers


def translated(found: npt.NDArray[np.generic], labels: Mapping[str, int], where: str) -> Labels:
    """A label file's numbers as ours; raises DataError where one is not named, or names are mixed up."""
    numbers = np.rint(found.astype(np.float64))
    whole = len(labels) == len(NAMES)
    if whole and not np.isin(numbers, (0, *labels.values())).all():
        raise DataError(
            f"{where}: holds a number that is no structure's: say in {FILE} which are lv, myocardium and rv, "
            "and remove other labels"
        )
    ours = np.full(found.shape, BACKGROUND if whole else NOT_LEFT, dtype=np.uint8)
    for name, number in labels.items():
        if whole or name == "lv":
            ours[numbers == number] = NAMES[name]
    if whole and not _is_wrapped(ours):
        raise DataError(
            f"{where}: the left cavity is not inside the myocardium: numbers may be mixed up, say in {FILE} "
            "which are lv, myocardium and rv"
        )
    return ours


def _is_wrapped(labels: Labels) -> bool:
    """Whether most pixels around the left cavity (..., Y, X), slice by slice, are myocardium, if any."""
    flat = labels.reshape(-1, *labels.shape[-2:])
    inside = flat == LEFT
    cross = ndimage.generate_binary_structure(2, 1)[None]
    around = ndimage.binary_dilation(inside, cross) & ~inside
    return not around.any() or bool((flat[around] == MYOCARDIUM).mean() > 0.5)
