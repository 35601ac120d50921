"""The model of the segments, and what it reads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from simulation.heart.mechanics.tether import edges
from tasks.infarct.inputs import CHANNELS, HIGH, NAMES, InfarctPatients, examination, measured
from tasks.infarct.model import OPPOSITE, SegmentModel, loss, metrics


def patients(count: int = 6, views: int = 2) -> InfarctPatients:
    draw = np.random.default_rng(0)
    tables = [
        [
            examination({"carried": draw.normal(0.25, 0.1, 17), "fixed": np.full(17, np.nan)})
            for _ in range(views)
        ]
        for _ in range(count)
    ]
    targets = torch.zeros(count, 18)
    targets[::2, :3] = 1.0
    return InfarctPatients(torch.from_numpy(np.array(tables)), targets, np.arange(count) % 4)


def test_an_examination_says_what_is_known_and_gives_it_back() -> None:
    strain = np.linspace(-0.2, 0.1, 17)
    strain[4] = np.nan
    table = examination({"circumferential": strain})
    assert table.shape == (17, 2 * CHANNELS)
    assert np.isfinite(table).all()
    np.testing.assert_allclose(measured(table)["circumferential"], strain, atol=1e-6)
    assert np.isnan(measured(table)["radial"]).all()
    assert table[4, CHANNELS + NAMES.index("circumferential")] == 0


def test_an_error_of_measurement_is_held_back() -> None:
    assert examination({"radial": np.full(17, 1e6)}).max() == HIGH


def test_what_is_unknown_cannot_move_the_model() -> None:
    torch.manual_seed(0)
    model, known = SegmentModel(), patients().views[:, 0]
    changed = known.clone()
    changed[..., :CHANNELS] += 7.0 * (1 - known[..., CHANNELS:])
    assert not torch.equal(changed, known)
    values = changed[..., :CHANNELS] * changed[..., CHANNELS:]
    torch.testing.assert_close(model(torch.cat([values, known[..., CHANNELS:]], -1)), model(known))


def test_a_view_is_drawn_for_each_patient_and_the_generator_says_which() -> None:
    some = patients()
    everybody = np.arange(len(some))
    first, _ = some.batch(everybody, torch.Generator().manual_seed(3))
    again, _ = some.batch(everybody, torch.Generator().manual_seed(3))
    torch.testing.assert_close(first, again)
    drawn = {some.batch(everybody, torch.Generator().manual_seed(s))[0].sum().item() for s in range(8)}
    assert len(drawn) > 1


def test_segments_lie_opposite_to_each_other() -> None:
    assert all(OPPOSITE[OPPOSITE[s]] == s for s in range(17))
    assert not {tuple(sorted((s + 1, OPPOSITE[s] + 1))) for s in range(12)} & {
        tuple(sorted(e)) for e in edges()
    }


def test_a_segment_of_unknown_truth_costs_nothing() -> None:
    outputs, targets = torch.randn(4, 18), torch.zeros(4, 18)
    targets[:, 1:] = -1.0
    moved = outputs.clone()
    moved[:, 1:] += 5.0
    torch.testing.assert_close(loss(outputs, targets), loss(moved, targets))
    targets[:, 3] = 1.0
    assert not torch.allclose(loss(outputs, targets), loss(moved, targets))


def test_metrics_of_a_perfect_model_are_perfect_and_of_one_diagnosis_undefined() -> None:
    targets = patients().targets
    perfect = metrics(20 * targets - 10, targets)
    assert perfect["auc"] == perfect["balanced_accuracy"] == perfect["segment_auc"] == 1.0
    alike = metrics(torch.zeros(3, 18), torch.cat([torch.ones(3, 1), -torch.ones(3, 17)], 1))
    assert math.isnan(alike["auc"])
    assert math.isnan(alike["balanced_accuracy"])
    assert alike["log_likelihood"] == pytest.approx(-math.log(2))
