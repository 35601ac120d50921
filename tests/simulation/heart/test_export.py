"""Digital hearts on disk: readable by others, the same bytes again, whole or not at all."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from scipy import ndimage

from ground.errors import UsageError
from simulation.heart.export import cohort, nifti
from simulation.heart.export.cohort import Wanted, write_cohort
from simulation.heart.patient import DigitalHeart, simulate
from simulation.heart.picture import Protocol
from simulation.heart.strata import recipes

TINY = Protocol(slices=3, phases=4, size=64, spacing=2.8, enhancement=True)
RECIPES = recipes("territory=RCA", 2, 3, "infarct")


@pytest.fixture(scope="module")
def heart() -> DigitalHeart:
    return simulate(RECIPES[0], TINY)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hearts")
    write_cohort(RECIPES, folder, Wanted(TINY))
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = (each for each in sorted(folder.rglob("*")) if each.is_file())
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_a_patient_s_folder_has_images_labels_curves_and_the_recipe(written: Path) -> None:
    names = {each.name for each in (written / "patient-0001").iterdir()}
    assert names == {
        *("cine.nii.gz", "labels.nii.gz", "lge.nii.gz", "lge-labels.nii.gz", "strains.csv", "volumes.csv"),
        *("ecg.csv", "facts.json", "recipe.json", "heart.gif", "preview.png", "curves.png"),
        *("activation.nii.gz", "SHA256SUMS"),
    }
    assert (written / "contact-sheet.png").exists()
    assert len((written / "cohort.csv").read_text().splitlines()) == 3


def test_the_same_recipes_give_the_same_bytes_whatever_the_number_of_workers(
    written: Path, tmp_path: Path
) -> None:
    write_cohort(RECIPES, tmp_path / "again", Wanted(TINY), workers=2)
    assert digests(tmp_path / "again") == digests(written)


def test_nifti_puts_voxels_where_dicom_does(heart: DigitalHeart) -> None:
    written = nifti.nifti(heart.images, heart.affine, heart.cycle_ms)
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(written))
    assert image.shape == (64, 64, 3, 4)
    assert np.array_equal(np.asarray(image.dataobj)[5, 9, 1, 2], heart.images[1, 2, 9, 5])
    how = heart.acquisition
    for place in range(3):
        lps = how.positions[place] + 5 * 2.8 * how.rows + 9 * 2.8 * how.columns
        assert image.affine @ [5, 9, place, 1] == pytest.approx([-lps[0], -lps[1], lps[2], 1], abs=1e-3)
    assert image.header.get_zooms()[3] == pytest.approx(heart.cycle_ms / 4, rel=1e-5)


def test_the_activation_map_lies_on_the_myocardium(heart: DigitalHeart) -> None:
    to_voxel = np.linalg.inv(heart.activation_affine) @ heart.affine
    place, row, column = np.argwhere(heart.labels[:, 0] == 2).T
    voxel = (to_voxel @ np.stack([column, row, place, np.ones(len(place))]))[:3].round().astype(int)
    reached = ndimage.binary_dilation(~np.isnan(heart.activation_map))[tuple(voxel)]
    # A voxel beside, since voxels are coarse and hearts breathe; the rest is scar that does not conduct.
    assert reached.mean() > 0.8


def test_dicom_is_read_back_and_names_nobody(heart: DigitalHeart) -> None:
    files = [
        pydicom.dcmread(io.BytesIO(content))
        for name, content in cohort.patient_files(heart, Wanted(TINY, as_dicom=True))
        if name.endswith(".dcm")
    ]
    assert len(files) == 12
    assert len({each.SOPInstanceUID for each in files}) == 12
    assert len({each.SeriesInstanceUID for each in files}) == 1
    assert np.array_equal(files[5].pixel_array, heart.images[1, 1])
    assert {each.QualityControlSubject for each in files} == {"YES"}
    assert {str(each.PatientName) for each in files} == {f"Digital^{heart.recipe.digest()[:12]}"}
    assert not any("Date" in e.name and e.value for each in files for e in each)
    spots = sorted({tuple(each.ImagePositionPatient) for each in files})
    assert len(spots) == 3


def test_strains_are_a_row_for_each_phase_and_segment(written: Path) -> None:
    rows = list(csv.DictReader((written / "patient-0001" / "strains.csv").read_text().splitlines()))
    assert len(rows) == 4 * 17
    assert max(abs(float(row["circumferential"])) for row in rows if row["phase"] == "0") < 1e-4


def test_the_recipe_on_disk_makes_the_patient_again(written: Path) -> None:
    said = json.loads((written / "patient-0002" / "recipe.json").read_text())
    assert said["seed"] == RECIPES[1].seed
    assert said["stratum"] == "group=infarct,territory=RCA"


def test_the_heart_beats(written: Path) -> None:
    with Image.open(written / "heart.gif") as moving:
        assert moving.n_frames == 4


def test_an_interrupted_cohort_goes_on_and_ends_as_an_undisturbed_one(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def fails_at_the_second(recipe: object, protocol: object) -> DigitalHeart:
        made.append(recipe)
        if len(made) == 2:
            raise KeyboardInterrupt
        return simulate(recipe, protocol)  # type: ignore[arg-type]

    monkeypatch.setattr(cohort, "simulate", fails_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write_cohort(RECIPES, tmp_path, Wanted(TINY))
    assert [each.name for each in tmp_path.glob("[!.]*")] == ["patient-0001"]
    write_cohort(RECIPES, tmp_path, Wanted(TINY))
    assert len(made) == 3  # the first is not made twice
    assert digests(tmp_path) == digests(written)


def test_a_patient_that_cannot_be_written_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cohort, "volumes_csv", full)
    with pytest.raises(OSError, match="No space"):
        write_cohort(RECIPES[:1], tmp_path, Wanted(TINY))
    assert [each.name for each in tmp_path.iterdir()] == [".lock"]


def test_a_folder_that_holds_somebody_else_is_refused(written: Path) -> None:
    before = digests(written)
    with pytest.raises(UsageError, match=r"patient-0001.*seed differ.*give another --out"):
        write_cohort(recipes("territory=RCA", 2, 4, "infarct"), written, Wanted(TINY))
    assert digests(written) == before


def test_a_damaged_patient_is_found_and_named(written: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    with (copy / "patient-0002" / "labels.nii.gz").open("r+b") as stream:
        stream.truncate(100)
    with pytest.raises(UsageError, match=r"patient-0002: labels.nii.gz is not as it was written"):
        write_cohort(RECIPES, copy, Wanted(TINY))


def test_what_a_killed_command_left_is_swept(written: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    (copy / ".patient-0001.abc").mkdir()
    write_cohort(RECIPES, copy, Wanted(TINY))
    assert digests(copy) == digests(written)
    assert not (copy / ".patient-0001.abc").exists()
