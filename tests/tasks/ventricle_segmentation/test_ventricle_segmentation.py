from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.metrics import HausdorffDistanceMetric
from PIL import Image
from torch import Tensor, nn

from privacy.gradients import PatientGradients
from tasks.hearts.patients import Heart, HeartPatients
from tasks.learners.model import initial_vector, model_from, moved
from tasks.patients import PooledPatients
from tasks.ventricle_segmentation import model as segmentation_model
from tasks.ventricle_segmentation.loss import loss
from tasks.ventricle_segmentation.metrics import dice, hausdorff, of_heart
from tasks.ventricle_segmentation.model import filled, predicted
from tasks.ventricle_segmentation.task import TASK


def round_heart(radius: float = 20.0, *, partial: bool = False, group: str = "") -> Heart:
    """One slice, twice: a left cavity with its wall, and a right cavity far away."""
    rows, columns = np.mgrid[:128, :128]
    labels = np.zeros((128, 128), np.uint8)
    labels[np.hypot(rows - 64, columns - 30) < 14] = 3
    labels[np.hypot(rows - 64, columns - 74) < radius + 6] = 2
    labels[np.hypot(rows - 64, columns - 74) < radius] = 1
    if partial:
        labels[labels != 1] = 4
    images = torch.rand(2, 128, 128, generator=torch.Generator().manual_seed(0))
    both = torch.from_numpy(np.stack([labels, labels]))
    unknown = float("nan") if partial else 1.0
    return Heart(images, both, np.array([0, 1]), np.array([0, 0]), unknown, unknown * 10, group)


class Says(nn.Module):
    """A model that gives these logits, (item, 4, Y, X), whatever it is shown."""

    def __init__(self, answers: Tensor) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, images: Tensor) -> Tensor:
        return self.answers[: len(images)]


def sure_of(labels: Tensor) -> Tensor:
    known = torch.where(labels == 4, 0, labels).long()
    return 20 * nn.functional.one_hot(known, 4).permute(0, 3, 1, 2).float()


def test_the_model_is_small_and_starts_alike_and_keeps_no_statistics() -> None:
    model = TASK.model()
    assert sum(parameter.numel() for parameter in model.parameters()) < 500_000
    assert not list(model.buffers())
    assert np.array_equal(initial_vector(TASK, 3), initial_vector(TASK, 3))
    head = moved(model, "biases")
    assert 0 < sum(parameter.numel() for parameter in head) < 10_000


def test_a_patient_s_gradient_is_hers_alone() -> None:
    model = model_from(TASK, initial_vector(TASK, 0)).train()
    hearts = HeartPatients((round_heart(), round_heart(10.0), round_heart(15.0, partial=True)))
    inputs, targets = hearts.batch(np.arange(3), torch.Generator().manual_seed(0))
    with PatientGradients(model, loss) as gradients:
        together = gradients.of(inputs, targets)
        for row in range(3):
            alone = gradients.of(inputs[row : row + 1], targets[row : row + 1])[0]
            assert (together[row] - alone).norm() < 1e-3 * alone.norm()


def test_the_loss_of_a_right_answer_is_small_and_of_a_wrong_one_large() -> None:
    for partial in (False, True):
        labels = round_heart(partial=partial).labels
        right, wrong = loss(sure_of(labels), labels), loss(sure_of((labels + 1) % 4), labels)
        assert right.shape == (2,)
        assert (right < 0.01).all()
        assert (wrong > 0.5).all()


def test_where_the_wall_is_not_labelled_it_does_not_matter_what_is_found_there() -> None:
    partial, whole = round_heart(partial=True).labels, round_heart().labels
    calls_it_wall, calls_it_nothing = sure_of(whole), sure_of(partial)
    assert torch.allclose(loss(calls_it_wall, partial), loss(calls_it_nothing, partial), atol=1e-4)
    # Were "unknown" taken for background, the wall would count as an error.
    as_background = torch.where(partial == 4, 0, partial)
    assert (loss(calls_it_wall, as_background) > loss(calls_it_wall, partial) + 0.5).all()


def test_gradients_reach_every_class_of_a_partly_labelled_slice() -> None:
    outputs = torch.zeros(1, 4, 128, 128, requires_grad=True)
    loss(outputs, round_heart(partial=True).labels[:1]).sum().backward()
    assert outputs.grad is not None
    assert (outputs.grad.abs().sum((0, 2, 3)) > 0).all()


def test_augmenting_moves_image_and_labels_alike_and_repeats_itself() -> None:
    labels = round_heart().labels
    inputs = (labels == 1).float()[:, None]
    one = TASK.augment(inputs, labels, torch.Generator().manual_seed(1))
    again = TASK.augment(inputs, labels, torch.Generator().manual_seed(1))
    other = TASK.augment(inputs, labels, torch.Generator().manual_seed(2))
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[1], other[1])
    assert not torch.equal(one[1], labels)
    assert one[1].dtype == labels.dtype
    bright = (one[0][:, 0] > 0.5).numpy()
    assert dice(bright, (one[1] == 1).numpy()) > 0.93
    assert set(one[1].unique().tolist()) <= set(labels.unique().tolist())


@pytest.fixture
def one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """For networks that say the same whatever they are shown."""
    monkeypatch.setattr(segmentation_model, "SIZES", (1.0,))


@pytest.mark.usefixtures("one_size")
def test_a_perfect_answer_has_perfect_metrics_and_what_is_unknown_is_none() -> None:
    for partial in (False, True):
        heart = round_heart(partial=partial)
        found = TASK.per_patient(Says(sure_of(heart.labels)), HeartPatients((heart,)))
        assert found["dice"][0] == 1.0
        assert found["hd95_mm"][0] == 0.0
        for name, perfect in (("dice_myocardium", 1.0), ("dice_right", 1.0), ("volume_error_ml", 0.0)):
            value = found[name][0]
            assert math.isnan(value) if partial else value == perfect


def test_metrics_of_a_cavity_found_too_large_are_those_of_the_geometry() -> None:
    truth, larger = round_heart(20.0), round_heart(25.0)
    row = of_heart(larger.labels.numpy(), truth)
    assert row["dice"] == pytest.approx(2 * 20**2 / (20**2 + 25**2), abs=0.01)
    assert row["hd95_mm"] == pytest.approx(5.0, abs=0.6)  # 1 mm a pixel
    assert row["volume_error_ml"] == pytest.approx(np.pi * (25**2 - 20**2) * 10 / 1000, rel=0.02)
    assumed = of_heart(larger.labels.numpy(), replace(truth, spacing=float("nan")))
    assert assumed["hd95_mm"] == pytest.approx(1.4 * row["hd95_mm"])


def test_a_missed_cavity_counts() -> None:
    truth = round_heart(20.0)
    row = of_heart(np.zeros((2, 128, 128), np.uint8), truth)
    assert row["dice"] == 0.0
    assert row["hd95_mm"] == pytest.approx(20.0, abs=1.0)


# MONAI warns of its own call of its own function.
@pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges:FutureWarning")
def test_hausdorff_distances_are_monai_s() -> None:
    theirs = HausdorffDistanceMetric(include_background=True, percentile=95)
    random = np.random.default_rng(0)
    for _ in range(5):
        rows, columns = np.mgrid[:128, :128]
        y, x, one, other = random.uniform((50, 50, 5, 5), (78, 78, 30, 30))
        regions = [np.hypot(rows - 64, columns - 64) < one, np.hypot(rows - y, columns - x) < other]
        tensors = [torch.from_numpy(region)[None, None].float() for region in regions]
        assert hausdorff(*regions) == pytest.approx(float(theirs(*tensors)), abs=1e-4)


@pytest.mark.usefixtures("one_size")
def test_of_the_left_cavity_one_piece_a_slice_is_kept() -> None:
    heart = round_heart()
    answer = heart.labels.clone()
    answer[0, 2:6, 2:6] = 1
    [found] = predicted(Says(sure_of(answer)), [heart])
    assert np.array_equal(found, heart.labels.numpy())


def test_a_bay_in_the_cavity_is_filled_and_nothing_else_is_added() -> None:
    rows, columns = np.mgrid[:128, :128]
    disc = (rows - 60) ** 2 + (columns - 64) ** 2 <= 400
    bitten = disc & ~((rows < 50) & (abs(columns - 64) < 5))
    assert (filled(bitten) >= bitten).all()
    assert filled(bitten).sum() > 0.98 * disc.sum()
    assert (filled(disc) == disc).all()
    for thin in (np.zeros_like(disc), np.eye(128, dtype=bool), rows == 7, (rows == 3) & (columns == 4)):
        assert (filled(thin) <= thin).all()


def test_pooled_patients_are_measured_like_their_hospitals() -> None:
    hearts = [HeartPatients((round_heart(radius),)) for radius in (10.0, 20.0)]
    model = model_from(TASK, initial_vector(TASK, 0)).eval()
    pooled = TASK.per_patient(model, PooledPatients(hearts))["dice"]
    assert pooled.tolist() == [TASK.per_patient(model, each)["dice"][0] for each in hearts]


def test_the_gallery_shows_best_median_and_worst_once_each() -> None:
    hearts = tuple(round_heart(radius) for radius in (10.0, 20.0, 30.0, 35.0))
    answers = torch.cat([sure_of(hearts[1].labels)] * 4)
    shown = TASK.gallery(Says(answers), HeartPatients(hearts))
    assert [each.title.split()[0] for each in shown] == ["best", "median", "worst"]
    assert shown[0].title == "best of 4, Dice 1.00"
    assert shown[2].title.startswith("worst of 4, Dice .")
    picture = Image.open(io.BytesIO(shown[0].png))
    assert picture.size == (3 * 192, 2 * 192)
    assert len(TASK.gallery(Says(answers), HeartPatients(hearts[:1]))) == 1
    assert TASK.gallery(Says(answers), HeartPatients(())) == []


def test_sunnybrook_s_groups_are_found_among_digital_ones() -> None:
    groups = ("HF-I", "HF-NI", "HYP", "N", "infarct", "abnormal-rv", "")
    patients = HeartPatients(tuple(round_heart(group=group) for group in groups))
    found = [TASK.strata[place] if place >= 0 else None for place in TASK.stratify(patients)]
    assert found == ["infarct", "dilated", "hypertrophic", "normal", "infarct", "abnormal-rv", None]
    assert all(recipe.stratum == "group=dilated" for recipe in TASK.recipes("dilated", 2, 0))


def test_a_heart_is_looked_at_in_several_sizes_which_count_alike() -> None:
    shown: list[torch.Tensor] = []

    class Sees(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            shown.append(images)
            left = (images > 0.5).float() * 8
            return torch.cat([4 * torch.ones_like(left), left, -9 + 0 * left, -9 + 0 * left], dim=1)

    disc = (torch.cartesian_prod(torch.arange(64), torch.arange(64)).sub(31.5).square().sum(1) < 144).view(
        64, 64
    )
    found = segmentation_model._probabilities(Sees(), disc.float()[None, None])
    areas = [float((each > 0.5).sum()) for each in shown]
    assert areas == pytest.approx([areas[1] * size**2 for size in segmentation_model.SIZES], rel=0.05)
    assert found.sum(1) == pytest.approx(len(segmentation_model.SIZES), abs=1e-4)
    assert ((found[0, 1] > found[0, 0]) == disc).float().mean() > 0.98
