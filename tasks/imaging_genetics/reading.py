"""A hospital's folder: `genotypes.bed` with its .bim and .fam, and `phenotypes.csv`, or arrays of both.

    HOSPITAL/genotypes.bed  .bim  .fam     or    HOSPITAL/genotypes.npy     int8 (variant, individual)
    HOSPITAL/phenotypes.csv  .parquet      or    HOSPITAL/phenotypes.npy    float32 (individual, phenotype)

A table's first column is `patient`, the individual's name of the .fam; an array's rows are in the order of
the genotypes. Whoever has one and not the other is set aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ground.errors import DataError
from tasks.channels.tables import read_cells
from tasks.imaging_genetics.genotypes import Genotypes, Variants, panel, read_array, read_plink
from tasks.imaging_genetics.options import Options
from tasks.imaging_genetics.patients import Pairs, Phenotypes

PATIENT = "patient"
GENOTYPES = ("genotypes.bed", "genotypes.npy")
TABLES = ("phenotypes.csv", "phenotypes.tsv", "phenotypes.parquet")
ARRAY = "phenotypes.npy"


def hospitals(folder: Path) -> Mapping[str, Path]:
    """Each folder in it that has genotypes, by name; raises DataError where there is none."""
    found = {
        path.name: path
        for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
        if any((path / name).is_file() for name in GENOTYPES)
    }
    if not found:
        raise DataError(
            f"{folder}: no hospital in it: give a folder with one folder for each, of genotypes.bed "
            "(.bim, .fam) and phenotypes.csv"
        )
    return found


def read(folder: Path, options: Options) -> Pairs:
    """One hospital's patients; raises DataError where its tables are not those that the study agreed on."""
    genotypes, names, variants = _genotypes(folder)
    phenotypes, known = _phenotypes(folder, len(genotypes))
    _check(folder, phenotypes.shape[1], options.phenotypes, "imaging phenotypes", "phenotypes")
    _check(folder, genotypes.width, options.variants, "variants", "variants")
    if options.panel and panel(variants) != options.panel:
        raise DataError(
            f"{folder}: its variants are not the study's, or in another order, or count other alleles: "
            "bring them to the study's list (plink2 --extract, --ref-allele)"
        )
    if known is None or names is None:
        everybody = np.arange(len(genotypes))
        return Pairs(Phenotypes(phenotypes, everybody), genotypes, variants)
    place = {name: row for row, name in enumerate(known)}
    both = [(row, place[name]) for row, name in enumerate(names) if name in place]
    if not both:
        raise DataError(f"{folder}: nobody in phenotypes is in the genotypes: compare patient with .fam")
    genetic, imaged = (np.asarray(each, dtype=np.int64) for each in zip(*both, strict=True))
    missing = {"no phenotypes": len(names) - len(both), "no genotypes": len(known) - len(both)}
    aside = {why: count for why, count in missing.items() if count}
    return Pairs(Phenotypes(phenotypes, imaged), genotypes.subset(genetic), variants, aside)


def _genotypes(folder: Path) -> tuple[Genotypes, list[str] | None, Variants]:
    if (folder / "genotypes.bed").is_file():
        return read_plink(folder / "genotypes.bed")
    if not (folder / "genotypes.npy").is_file():
        raise DataError(f"{folder}: no genotypes.bed in it: see `laennec tasks imaging-genetics`")
    stored = read_array(folder / "genotypes.npy")
    return stored, None, Variants.numbered(stored.width)


def _phenotypes(folder: Path, people: int) -> tuple[npt.NDArray[Any], list[str] | None]:
    """Values, shape (individual, phenotype), and whose they are; None: those of the genotypes, in order."""
    file = folder / ARRAY
    if file.is_file():
        try:
            values = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{file}: no array can be read there: store it with numpy.save") from error
        if values.ndim != 2 or values.dtype.kind != "f" or len(values) != people:
            raise DataError(
                f"{file}: phenotypes are floats of shape (individual, phenotype), one row for each of the "
                "genotypes: store them so"
            )
        return values, None
    table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if table is None:
        raise DataError(f"{folder}: no phenotypes.csv in it: see `laennec tasks imaging-genetics`")
    return _table(table)


def _table(file: Path) -> tuple[npt.NDArray[Any], list[str]]:
    cells = read_cells(file)
    if PATIENT not in cells:
        raise DataError(f"{file}: no column called {PATIENT}: name each line's individual as in the .fam")
    names = cells.pop(PATIENT)
    if len(set(names)) != len(names) or "" in names:
        raise DataError(f"{file}: column {PATIENT}: each line needs a name of its own")
    columns = []
    for name, texts in cells.items():
        try:
            values = np.asarray([text or "nan" for text in texts], dtype=np.float32)
        except ValueError as error:
            raise DataError(f"{file}, column {name}: not a number somewhere: correct it") from error
        if np.isinf(values).any():
            raise DataError(f"{file}, column {name}: not a finite number somewhere: correct it")
        columns.append(values)
    return np.stack(columns, axis=1) if columns else np.zeros((len(names), 0), dtype=np.float32), names


def _check(folder: Path, found: int, agreed: int, what: str, key: str) -> None:
    if found != agreed:
        raise DataError(
            f"{folder}: {found} {what} where the study agreed on {agreed}: correct [options] {key}, "
            "or the data"
        )
