from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bed_reader import to_bed

from ground.errors import DataError
from tasks.imaging_genetics.genotypes import Bed, Stored, Variants, panel, read_array, read_plink, whole

VALUES = np.random.default_rng(1).integers(0, 3, (31, 3000)).astype(np.int8)  # (individual, variant)
VALUES[np.random.default_rng(2).random(VALUES.shape) < 0.1] = -127


@pytest.fixture
def bed(tmp_path: Path) -> Path:
    path = tmp_path / "genotypes.bed"
    properties = {
        "iid": [f"i{number}" for number in range(31)],
        "chromosome": ["2"] * 3000,
        "bp_position": list(range(3000)),
        "allele_1": ["A"] * 3000,
        "allele_2": ["G"] * 3000,
    }
    to_bed(path, VALUES, properties=properties, num_threads=1)
    return path


def test_plink_and_array_give_the_same_genotypes_missing_ones_too(bed: Path) -> None:
    genotypes, names, variants = read_plink(bed)
    assert names[:2] == ["i0", "i1"]
    assert (len(genotypes), genotypes.width, len(variants.name)) == (31, 3000, 3000)
    np.testing.assert_array_equal(whole(genotypes), VALUES)
    np.testing.assert_array_equal(whole(Stored(VALUES.T, np.arange(31))), VALUES)


@pytest.mark.parametrize("chosen", [[0], [30, 2, 7], list(range(31))])
def test_some_patients_are_read_alone_and_in_the_order_asked_for(bed: Path, chosen: list[int]) -> None:
    for genotypes in (read_plink(bed)[0], Stored(VALUES.T, np.arange(31))):
        some = genotypes.subset(np.asarray(chosen)).subset(np.arange(len(chosen)))
        np.testing.assert_array_equal(whole(some), VALUES[chosen])


def test_blocks_cover_every_variant_once(bed: Path) -> None:
    genotypes = read_plink(bed)[0]
    covered = [columns for columns, _ in genotypes.blocks()]
    assert len(covered) > 1
    assert [each.start for each in covered[1:]] == [each.stop for each in covered[:-1]]
    assert (covered[0].start, covered[-1].stop) == (0, 3000)


def test_a_missing_part_is_named_and_a_broken_one_refused_without_a_line_of_it(bed: Path) -> None:
    bed.with_suffix(".fam").write_text("87654321 only\n")
    with pytest.raises(DataError, match=r"genotypes\.bed: no PLINK genotypes") as caught:
        read_plink(bed)
    assert "87654321" not in str(caught.value)
    bed.with_suffix(".bim").unlink()
    with pytest.raises(DataError, match=r"belong together|no PLINK"):
        read_plink(bed)


def test_a_bed_cut_short_is_refused(bed: Path) -> None:
    bed.write_bytes(bed.read_bytes()[:500])
    with pytest.raises(DataError, match="no PLINK genotypes"):
        list(Bed(bed, 31, 3000, np.arange(31)).blocks())


def test_one_individual_twice_is_refused(bed: Path) -> None:
    lines = bed.with_suffix(".fam").read_text().splitlines()
    bed.with_suffix(".fam").write_text("\n".join([lines[0], *lines[:1], *lines[2:]]) + "\n")
    with pytest.raises(DataError, match="twice"):
        read_plink(bed)


def test_an_array_of_another_kind_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "genotypes.npy", np.zeros((3, 4)))
    with pytest.raises(DataError, match="int8"):
        read_array(tmp_path / "genotypes.npy")
    (tmp_path / "genotypes.npy").write_text("no array")
    with pytest.raises(DataError, match="no array"):
        read_array(tmp_path / "genotypes.npy")


def test_a_panel_changes_with_any_allele_and_any_order() -> None:
    known = Variants.numbered(4)
    swapped = Variants(known.chromosome, known.position, known.name, np.array(["A/G", "?", "?", "?"]))
    turned = Variants(known.chromosome, known.position[::-1], known.name[::-1], known.alleles)
    assert len({panel(known), panel(swapped), panel(turned)}) == 3
    assert panel(known) == panel(Variants.numbered(4))


def test_real_genotypes_are_read_in_blocks(data: Path) -> None:
    path = data / "kg1000-gaston" / "chr2.bed"
    if not path.is_file():
        pytest.skip(f"no {path}")
    genotypes, names, variants = read_plink(path)
    assert (len(names), genotypes.width) == (503, 10025)
    values = whole(genotypes)
    assert (values < 0).mean() == pytest.approx(0.001, abs=2e-4)
    assert set(np.unique(variants.chromosome)) == {"2"}
