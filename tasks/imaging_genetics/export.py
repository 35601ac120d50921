"""Patients written as a hospital has them: PLINK genotypes and an array of phenotypes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.imaging_genetics.genotypes import whole
from tasks.imaging_genetics.patients import Pairs


def write(folder: Path, patients: Pairs) -> None:
    """genotypes.bed (.bim, .fam) and phenotypes.npy, in a layout that `read` takes."""
    from bed_reader import to_bed

    folder.mkdir(parents=True, exist_ok=True)
    lies, names = patients.variants, [f"p{number + 1:05d}" for number in range(len(patients))]
    counted, other = zip(*(each.split("/") for each in lies.alleles.tolist()), strict=True)
    properties = {
        "fid": names,
        "iid": names,
        "chromosome": lies.chromosome,
        "bp_position": lies.position,
        "sid": lies.name,
        "allele_1": list(counted),
        "allele_2": list(other),
    }
    to_bed(folder / "genotypes.bed", whole(patients.genetics), properties=properties, num_threads=1)
    imaging = patients.imaging
    np.save(folder / "phenotypes.npy", imaging.values[imaging.rows].astype(np.float32))
