"""Genotypes in blocks of variants: PLINK's .bed, or an int8 array on disk. Never expanded as a whole.

A genotype is the number of copies of a variant's first allele, 0, 1 or 2, below 0 where it is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ground.errors import DataError
from tasks.learners.products import widths

Genotype = npt.NDArray[np.int8]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Variants:
    """Where each variant lies, shape (variant,) each; public.

    Attributes:
        chromosome: as PLINK has it, "1" to "22", "X".
        position: in base pairs.
        name: as in "rs429358".
        alleles: "A/G", the counted one first.

    """

    chromosome: npt.NDArray[np.str_]
    position: npt.NDArray[np.int64]
    name: npt.NDArray[np.str_]
    alleles: npt.NDArray[np.str_]

    @staticmethod
    def numbered(count: int) -> Variants:
        """Of variants of which nothing is known but their order."""
        order = np.arange(count)
        return Variants(np.full(count, "1"), order, order.astype(str), np.full(count, "?"))


def panel(variants: Variants) -> str:
    """SHA-256 of the list of variants: with the same one, the same alleles are counted in one order."""
    columns = (variants.chromosome, variants.position, variants.name, variants.alleles)
    lines = (" ".join(map(str, line)) for line in zip(*columns, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class Genotypes(Protocol):
    """The genotypes of some patients: a `tasks.learners.products.View` that can be narrowed. Sensitive."""

    @property
    def width(self) -> int:
        """Number of variants."""

    def __len__(self) -> int:
        """Number of patients."""

    def blocks(self) -> Iterator[tuple[slice, Genotype]]:
        """Which variants, and their genotypes, shape (variant, patient)."""

    def subset(self, chosen: Rows) -> Genotypes:
        """Those patients alone, in the order given."""


@dataclass(frozen=True, eq=False)
class Bed:
    """PLINK's binary genotypes, by `bed-reader`.

    Attributes:
        path: of the .bed file.
        people: how many individuals the file has.
        variants: how many variants it has.
        rows: which individuals these patients are, shape (patient,).

    """

    path: Path
    people: int
    variants: int
    rows: Rows

    @property
    def width(self) -> int:
        """Number of variants."""
        return self.variants

    def __len__(self) -> int:
        return len(self.rows)

    def blocks(self) -> Iterator[tuple[slice, Genotype]]:
        """Read anew each time, decoded a block at a time; raises DataError where the file is damaged."""
        from bed_reader import open_bed

        try:
            with open_bed(
                self.path, iid_count=self.people, sid_count=self.variants, properties={}, num_threads=1
            ) as bed:
                for columns in widths(self.variants, len(self)):
                    yield columns, bed.read((self.rows, columns), dtype="int8", order="F", num_threads=1).T
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.path}: no PLINK genotypes can be read there: export them again"
            ) from error

    def subset(self, chosen: Rows) -> Bed:
        """Those patients alone."""
        return Bed(self.path, self.people, self.variants, self.rows[chosen])


@dataclass(frozen=True, eq=False)
class Stored:
    """An int8 array, in memory or mapped from disk.

    Attributes:
        values: shape (variant, individual).
        rows: which individuals these patients are, shape (patient,).

    """

    values: Genotype
    rows: Rows

    @property
    def width(self) -> int:
        """Number of variants."""
        return len(self.values)

    def __len__(self) -> int:
        return len(self.rows)

    def blocks(self) -> Iterator[tuple[slice, Genotype]]:
        """Each block as it is on disk where these are all individuals in their order, else a copy."""
        everybody = np.array_equal(self.rows, np.arange(self.values.shape[1]))
        for columns in widths(self.width, len(self)):
            block = self.values[columns]
            yield columns, block if everybody else np.take(block, self.rows, axis=1)

    def subset(self, chosen: Rows) -> Stored:
        """Those patients alone."""
        return Stored(self.values, self.rows[chosen])


def whole(genotypes: Genotypes) -> Genotype:
    """All of them in memory, shape (patient, variant): a byte each."""
    found = np.empty((len(genotypes), genotypes.width), dtype=np.int8)
    for columns, block in genotypes.blocks():
        found[:, columns] = block.T
    return found


def read_plink(path: Path) -> tuple[Bed, list[str], Variants]:
    """A .bed with its .bim and .fam: genotypes, individuals' names, variants. Raises DataError."""
    from bed_reader import open_bed

    try:
        with open_bed(path, num_threads=1) as bed:
            names = [str(name) for name in bed.iid]
            alleles = np.char.add(np.char.add(bed.allele_1.astype(str), "/"), bed.allele_2.astype(str))
            variants = Variants(bed.chromosome, bed.bp_position.astype(np.int64), bed.sid, alleles)
            bed.read(np.s_[:1, :1], dtype="int8")
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: .bed, .bim and .fam belong together: copy the one that is missing"
        ) from error
    except Exception as error:  # the reader's kinds are many, and its words may quote a line
        raise DataError(
            f"{path}: no PLINK genotypes can be read there ({type(error).__name__}): export them again"
        ) from error
    if len(set(names)) != len(names):
        raise DataError(f"{path}: an individual stands in .fam twice: give each a name of its own")
    return Bed(path, len(names), len(variants.name), np.arange(len(names))), names, variants


def read_array(path: Path) -> Stored:
    """An .npy of int8, shape (variant, individual), mapped from disk; raises DataError."""
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: no array can be read there: store int8 genotypes with numpy.save"
        ) from error
    if values.dtype != np.int8 or values.ndim != 2:
        raise DataError(f"{path}: genotypes are int8 of shape (variant, individual): store them so")
    return Stored(values, np.arange(values.shape[1]))
