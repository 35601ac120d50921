from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_hearts import heart

from ground.errors import DataError
from simulation.heart.strata import recipes
from tasks.hearts import digital, stored
from tasks.hearts.grey import scaled
from tasks.hearts.patients import HeartPatients, hearts_of, split
from tasks.hearts.reader import hospitals, read_hospital
from tasks.patients import PooledPatients, TablePatients


def test_sunnybrook_is_four_hospitals_of_hearts_with_two_phases(sunnybrook: Path) -> None:
    sizes = {}
    for name, path in hospitals(sunnybrook).items():
        patients = read_hospital(path)
        training, test = split(patients)
        sizes[name] = (len(training), len(test))
        for each in patients.hearts:
            areas = [int((each.labels[each.phase == phase] == 1).sum()) for phase in (0, 1)]
            assert areas[0] > areas[1] > 0
            assert set(np.unique(each.labels)) == {1, 4}
            assert not each.is_whole
            assert np.isnan(each.spacing)
            assert each.level.min() == 0
            # A slice once a phase, and the base before the apex.
            assert len(set(zip(each.level, each.phase, strict=True))) == len(each)
            diastole = (each.labels[each.phase == 0] == 1).sum((1, 2))
            assert diastole[:3].sum() > diastole[-3:].sum()
    assert sizes == {"SC-HF-I": (9, 3), "SC-HF-NI": (9, 3), "SC-HYP": (9, 3), "SC-N": (7, 2)}


def test_sunnybrook_without_its_image_numbers_is_refused(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "sunnybrook805.npz",
        images=np.zeros((2, 256, 256), np.uint8),
        masks=np.ones((2, 256, 256), np.uint8),
        subject=["SC-N-02"] * 2,
        source_png=["a.png", "b.png"],
    )
    with pytest.raises(DataError, match="two contoured phases"):
        read_hospital(hospitals(tmp_path)["SC-N"])
    with pytest.raises(DataError, match="no patient of SC-HYP"):
        read_hospital(hospitals(tmp_path)["SC-HYP"])


def test_the_split_holds_out_a_quarter_and_nobody_twice() -> None:
    patients = HeartPatients((heart(),) * 12)
    training, test = split(patients)
    assert sorted([*training, *test]) == list(range(12))
    assert len(test) == 3
    assert test.tolist() == split(HeartPatients((heart(),) * 12))[1].tolist()


def test_a_batch_draws_one_slice_of_each_patient_and_all_in_the_end() -> None:
    patients = HeartPatients((heart(), heart((30, 20, 10), (25, 15, 5))))
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(60):
        images, labels = patients.batch(np.array([1, 0, 0]), generator)
        assert images.shape == (3, 1, 128, 128)
        for row, index in enumerate((1, 0, 0)):
            mine = patients.hearts[index]
            items = [i for i in range(len(mine)) if torch.equal(mine.labels[i], labels[row])]
            assert torch.equal(mine.images[items[0]], images[row, 0])
            seen.add((index, items[0]))
    assert len(seen) == 12
    again = [patients.batch(np.array([0]), torch.Generator().manual_seed(3))[0] for _ in range(2)]
    assert torch.equal(*again)


def test_hearts_of_pooled_hospitals_keep_their_order() -> None:
    hearts = [heart() for _ in range(4)]
    pooled = PooledPatients([HeartPatients(tuple(hearts[:3])), HeartPatients((hearts[3],))])
    assert list(hearts_of(pooled.subset(np.array([2, 3])))) == [hearts[2], hearts[3]]
    with pytest.raises(TypeError, match="not patients with hearts"):
        hearts_of(TablePatients(torch.zeros(1, 1), torch.zeros(1)))


def test_grey_values_do_not_know_the_scanner_s_scale() -> None:
    image = np.random.default_rng(0).gamma(2.0, size=(3, 128, 128))
    once = scaled(image)
    assert np.array_equal(once, scaled(1000 * image + 77))
    assert once.max() <= 192
    assert not scaled(np.full((1, 128, 128), 7)).any()


def test_our_own_layout_gives_back_the_same_hearts_and_the_same_bytes(tmp_path: Path) -> None:
    patients = HeartPatients((heart(), heart((30, 20, 10))))
    stored.write(tmp_path / "a.npz", patients)
    stored.write(tmp_path / "b.npz", patients)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert list(hospitals(tmp_path)) == ["a", "b"]
    for one, other in zip(read_hospital(tmp_path / "a.npz").hearts, patients.hearts, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert np.array_equal(one.phase, other.phase)
        assert np.array_equal(one.level, other.level)
        assert (one.spacing, one.gap, one.group) == (other.spacing, other.gap, other.group)


@pytest.mark.parametrize(
    ("array", "value"),
    [
        ("labels", np.full((6, 128, 128), 9, np.uint8)),
        ("phase", np.arange(6)),
        ("images", np.zeros((6, 64, 64), np.uint8)),
        ("patient", np.ones(6, np.int64)),
    ],
)
def test_a_damaged_file_is_refused_in_a_line(tmp_path: Path, array: str, value: np.ndarray) -> None:
    file = tmp_path / "a.npz"
    stored.write(file, HeartPatients((heart(),)))
    with np.load(file) as found:
        arrays = {name: found[name] for name in found.files}
    np.savez(file, **{**arrays, array: value})
    with pytest.raises(DataError) as refused:
        read_hospital(file)
    assert "\n" not in str(refused.value)
    file.write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="is not a hospital's hearts"):
        read_hospital(file)


def test_digital_hearts_are_whole_and_do_not_hang_on_their_company(tmp_path: Path) -> None:
    asked = recipes("group=normal", 3, 1)
    asked = [*asked[:1], *[each for each in asked[1:] if each.seed % 2 != asked[0].seed % 2][:1]]
    assert len(asked) == 2  # one like a scanner's, one with grey values at random
    together = digital.simulate(asked)
    [alone] = digital.simulate(asked[1:]).hearts
    assert (together.hearts[1].labels != alone.labels).float().mean() < 1e-3
    for each in together.hearts:
        assert each.is_whole
        assert each.group == "normal"
        cavity = [int((each.labels[each.phase == phase] == 1).sum()) for phase in (0, 1)]
        volume = cavity[0] * each.spacing**2 * each.gap / 1000
        assert cavity[0] > cavity[1]
        assert 60 < volume < 260
    file = digital.export(asked[:1], "somewhere", tmp_path)
    assert len((tmp_path / "somewhere.recipes.jsonl").read_text().splitlines()) == 1
    [again] = read_hospital(file).hearts
    assert (again.labels != together.hearts[0].labels).float().mean() < 1e-3
