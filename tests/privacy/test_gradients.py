from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ground.errors import PrivacyError
from privacy.gradients import PatientGradients, add_rows, whole_rows

Model = Callable[[], nn.Module]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """These models are too small for more, and the tests run side by side already."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 1))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 2, 2), nn.Flatten(), nn.Linear(18, 1)
    )


BOTH = pytest.mark.parametrize("model", [linear, convolutional])
SEEDS = st.integers(0, 2**31)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], targets, reduction="none")


def made(model: Model, patients: int, seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A model, inputs and targets in double precision, so that only real differences show."""
    torch.manual_seed(seed)
    inputs = torch.randn(patients, 1, 6, 6, dtype=torch.float64)
    return model().double(), inputs, torch.randint(0, 2, (patients,)).double()


def loop(module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """One gradient a patient by plain autograd, one patient at a time."""
    rows = []
    for i in range(len(inputs)):
        one = loss(module(inputs[i : i + 1]), targets[i : i + 1]).sum()
        rows.append(torch.cat([g.reshape(-1) for g in torch.autograd.grad(one, list(module.parameters()))]))
    return torch.stack(rows)


@BOTH
@given(patients=st.integers(1, 7), seed=SEEDS)
@settings(deadline=None, max_examples=15)
def test_gradients_per_patient_equal_a_plain_loop(model: Model, patients: int, seed: int) -> None:
    module, inputs, targets = made(model, patients, seed)
    expected = loop(module, inputs, targets)
    with PatientGradients(module, loss) as gradients:
        torch.testing.assert_close(gradients.of(inputs, targets), expected)


@BOTH
@given(patients=st.integers(1, 7), chunk=st.integers(1, 9), seed=SEEDS)
@settings(deadline=None, max_examples=15)
def test_the_clipped_sum_is_the_same_in_chunks_of_any_size(
    model: Model, patients: int, chunk: int, seed: int
) -> None:
    module, inputs, targets = made(model, patients, seed)
    rows = loop(module, inputs, targets).numpy()
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    clip = float(np.median(norms))
    with PatientGradients(module, loss) as gradients:
        total = gradients.clipped_sum(inputs, targets, clip, chunk=chunk)
    np.testing.assert_allclose(total.vector, (rows * np.minimum(1.0, clip / norms)).sum(axis=0), atol=1e-10)
    assert total.bound == clip


@BOTH
@given(patients=st.integers(1, 5), views=st.integers(1, 4), chunk=st.integers(1, 9), seed=SEEDS)
@settings(deadline=None, max_examples=15)
def test_several_views_of_a_patient_are_averaged_before_they_are_clipped(
    model: Model, patients: int, views: int, chunk: int, seed: int
) -> None:
    module, inputs, targets = made(model, patients * views, seed)
    rows = loop(module, inputs, targets).numpy().reshape(patients, views, -1).mean(axis=1)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    clip = float(np.median(norms))
    with PatientGradients(module, loss) as gradients:
        total = gradients.clipped_sum(inputs, targets, clip, views=views, chunk=chunk)
    np.testing.assert_allclose(total.vector, (rows * np.minimum(1.0, clip / norms)).sum(axis=0), atol=1e-10)


def test_a_patient_of_many_views_moves_the_sum_by_at_most_the_clip_and_her_views_stay_together() -> None:
    module, inputs, targets = made(linear, 8, seed=1)
    inputs[4:] *= 1e6
    with PatientGradients(module, loss) as gradients:
        without = gradients.clipped_sum(inputs[:4], targets[:4], clip=0.1, views=4)
        total = gradients.clipped_sum(inputs, targets, clip=0.1, views=4)
        each = gradients.clipped_sum(inputs, targets, clip=0.1)
        with pytest.raises(ValueError, match="views"):
            gradients.clipped_sum(inputs[:-1], targets[:-1], clip=0.1, views=4)
    assert np.linalg.norm(total.vector - without.vector) <= 0.1 * (1 + 1e-9)
    assert np.linalg.norm(each.vector - without.vector) > 0.15, "rows taken for patients: this would not show"


@pytest.mark.parametrize(("held", "most"), [(37 * 3, 3), (1, 1), (1 << 26, 10)])
def test_so_many_gradients_are_held_as_memory_has_room_for_and_at_least_one(
    held: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, inputs, targets = made(linear, 10, 1)
    monkeypatch.setattr("privacy.gradients.GRADIENTS", held)
    with PatientGradients(module, loss) as gradients:
        whole, sizes = gradients.of(inputs, targets).sum(dim=0), []
        of = gradients.of
        monkeypatch.setattr(gradients, "of", lambda *some: sizes.append(len(some[0])) or of(*some))
        total = gradients.clipped_sum(inputs, targets, 1e9)
    assert max(sizes) == most
    assert sum(sizes) == 10
    np.testing.assert_allclose(total.vector, whole.numpy(), atol=1e-10)


@pytest.mark.parametrize("step", [0.0, 0.25])
def test_rows_are_added_stretch_by_stretch_as_all_at_once(step: float) -> None:
    rows = torch.randn(600_000, 2, generator=torch.Generator().manual_seed(3))  # stretches of one value
    total = torch.zeros(2, dtype=torch.float64)
    add_rows(total, rows, step)
    torch.testing.assert_close(total, whole_rows(rows, step).sum(dim=0, dtype=torch.float64))


@BOTH
def test_a_clip_beyond_every_gradient_gives_the_plain_gradient(model: Model) -> None:
    module, inputs, targets = made(model, 6, seed=0)
    plain = torch.autograd.grad(loss(module(inputs), targets).sum(), list(module.parameters()))
    with PatientGradients(module, loss) as gradients:
        total = gradients.clipped_sum(inputs, targets, clip=1e9)
    np.testing.assert_allclose(total.vector, torch.cat([g.reshape(-1) for g in plain]).numpy(), atol=1e-10)


@BOTH
def test_one_patient_more_moves_the_sum_by_at_most_the_clip(model: Model) -> None:
    module, inputs, targets = made(model, 6, seed=1)
    inputs[-1] *= 1e6
    with PatientGradients(module, loss) as gradients:
        without = gradients.clipped_sum(inputs[:-1], targets[:-1], clip=0.1)
        total = gradients.clipped_sum(inputs, targets, clip=0.1)
    assert np.linalg.norm(total.vector - without.vector) <= 0.1 * (1 + 1e-9)


@BOTH
def test_no_patients_give_no_gradients_and_a_sum_of_zeros(model: Model) -> None:
    module, inputs, targets = made(model, 0, seed=0)
    size = sum(p.numel() for p in module.parameters())
    with PatientGradients(module, loss) as gradients:
        assert gradients.of(inputs, targets).shape == (0, size)
        total = gradients.clipped_sum(inputs, targets, clip=1.0)
    np.testing.assert_array_equal(total.vector, np.zeros(size))


def test_frozen_parameters_are_left_out() -> None:
    module, inputs, targets = made(convolutional, 3, seed=0)
    expected = loop(module, inputs, targets)[:, -19:]
    for parameter in list(module.parameters())[:-2]:
        parameter.requires_grad_(False)
    with PatientGradients(module, loss) as gradients:
        torch.testing.assert_close(gradients.of(inputs, targets), expected)


@BOTH
def test_a_model_is_itself_again_after_close(model: Model) -> None:
    module, inputs, targets = made(model, 3, seed=0)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with PatientGradients(module, loss) as gradients:
        gradients.of(inputs, targets)
    loss(module(inputs), targets).sum().backward()
    assert not any(hasattr(p, "grad_sample") for p in module.parameters())
    assert not any(m._forward_hooks or m._backward_hooks for m in module.modules())
    torch.testing.assert_close(module.state_dict(), before)


def test_a_model_can_be_hooked_again_after_close() -> None:
    module, inputs, targets = made(linear, 3, seed=0)
    with PatientGradients(module, loss) as gradients:
        first = gradients.of(inputs, targets)
    with PatientGradients(module, loss) as gradients:
        torch.testing.assert_close(gradients.of(inputs, targets), first)


def test_batch_norm_is_refused_with_the_way_out() -> None:
    with pytest.raises(
        PrivacyError, match="replace the layer, for instance BatchNorm by GroupNorm"
    ) as caught:
        PatientGradients(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)), loss)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)), "BatchNorm2d"),
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.LSTM(4, 1)), "BatchNorm1d, LSTM"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, affine=False)), "BatchNorm2d"),
    ],
    ids=["twice", "two kinds", "without parameters"],
)
def test_layers_that_are_refused_are_named_once_in_a_short_line(model: nn.Module, kinds: str) -> None:
    with pytest.raises(PrivacyError, match=f"because of {kinds}: replace the layer") as caught:
        PatientGradients(model, loss)
    assert len(str(caught.value)) < 180


def test_a_layer_that_remembers_earlier_batches_is_refused_by_name() -> None:
    with pytest.raises(PrivacyError, match="because of InstanceNorm2d: replace the layer"):
        PatientGradients(nn.InstanceNorm2d(4, affine=True, track_running_stats=True), loss)


def test_a_model_in_evaluation_mode_is_refused_with_the_way_out() -> None:
    with pytest.raises(PrivacyError, match=r"in evaluation mode .*: call its train\(\)"):
        PatientGradients(linear().eval(), loss)


def test_a_loss_that_is_a_mean_over_patients_is_refused() -> None:
    """It would shrink every patient's gradient with the number of the others, and bound nobody."""
    model = nn.Linear(2, 1)
    with (
        PatientGradients(
            model, lambda outputs, targets: ((outputs[:, 0] - targets) ** 2).mean()
        ) as gradients,
        pytest.raises(PrivacyError, match="one number a patient"),
    ):
        gradients.of(torch.zeros(3, 2), torch.zeros(3))
