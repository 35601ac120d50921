from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from privacy.gradients import PatientGradients
from tasks.channels.joint import Joint, Variable
from tasks.heterogeneous.model import LOGIT, MINUS_EVIDENCE, MultiChannel, divergence
from tasks.heterogeneous.outputs import importance, latent, reconstruct
from tasks.heterogeneous.task import loss

NAN = float("nan")
JOINT = Joint(
    (
        ("csf", (Variable("amyloid"), Variable("tau", log=True, centre=1.0, scale=0.5))),
        ("genes", (Variable("e4", "genotype"), Variable("site", "categorical", levels=("a", "b", "c")))),
        ("person", (Variable("age"), Variable("male", "bernoulli"))),
    ),
    "impaired",
)
TARGETS = torch.tensor([1.0, 0.0, NAN, 1.0])


def model() -> MultiChannel:
    torch.manual_seed(2)
    made = MultiChannel(JOINT, 3, 0.5)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


def patients() -> Tensor:
    return torch.tensor(
        [
            [0.5, -0.2, 2.0, 1.0, 0.3, 1.0],
            [NAN, 1.2, 0.0, 2.0, NAN, NAN],
            [-0.4, NAN, 1.0, NAN, 1.1, 0.0],
            [0.9, 0.1, NAN, 0.0, -0.7, 1.0],
        ]
    )


def without(channel: str) -> Tensor:
    inputs = patients()
    inputs[:, JOINT.columns(channel)] = NAN
    return inputs


def test_a_channel_that_nobody_has_gets_no_gradient() -> None:
    made, inputs = model().train(), without("csf")
    loss(made(inputs), TARGETS, 2.0).sum().backward()
    names, of = made.blocks()
    flat = torch.cat([p.grad.reshape(-1) for p in made.parameters() if p.grad is not None])
    block = torch.tensor(of)
    assert flat.numel() == block.numel()
    for number, name in enumerate(names):
        assert bool(flat[block == number].abs().sum() > 0) == (name != "csf"), name


def test_patients_with_nothing_measured_are_finite_and_teach_no_channel() -> None:
    nothing = torch.full((2, 6), NAN)
    outputs = model().train()(nothing)
    assert outputs.isfinite().all()


def test_a_patients_output_is_hers_alone() -> None:
    made, inputs = model().eval(), patients()
    before = made(inputs)
    inputs[0] = torch.tensor([3.0, 3.0, 0.0, 0.0, -2.0, 0.0])
    after = made(inputs)
    torch.testing.assert_close(after[1:], before[1:])
    assert (after[0] != before[0]).all()


def test_gradients_per_patient_add_up() -> None:
    made, inputs = model().train(), patients()
    torch.manual_seed(5)
    loss(made(inputs), TARGETS, 2.0).sum().backward()
    together = torch.cat([p.grad.reshape(-1) for p in made.parameters() if p.grad is not None])
    with PatientGradients(made, lambda o, t: loss(o, t, 2.0)) as gradients:
        torch.manual_seed(5)
        rows = gradients.of(inputs, TARGETS)
    torch.testing.assert_close(rows.sum(dim=0), together, rtol=1e-4, atol=1e-5)


def test_the_bound_is_the_papers_where_the_joint_code_has_no_share() -> None:
    made, inputs = model().eval(), patients()
    made.share = 0.0
    codes, has = made.encode(inputs)
    likelihood = made.likelihood(inputs, codes)
    expected = (likelihood * has).sum(dim=1) / has.sum(dim=1)
    expected -= divergence(made.log_alpha.values.weight[:, 0]).sum()
    torch.testing.assert_close(made(inputs)[:, MINUS_EVIDENCE], -expected)


def test_the_divergence_is_that_of_the_log_uniform_prior() -> None:
    """By quadrature: KL = E[ln|1 + √α ε|] − ½ ln α − E[ln|ε|], 0 at α = ∞ (Molchanov et al. 2017)."""
    nodes = np.linspace(-8.0, 8.0, 400_001) + 1e-5  # the logarithm's pole lies between two of them
    weights = np.exp(-0.5 * nodes**2) / np.exp(-0.5 * nodes**2).sum()
    without_signal = (weights * np.log(np.abs(nodes))).sum()
    for log_alpha in (-3.0, -1.0, 0.0, 2.0):
        mean = (weights * np.log(np.abs(1 + np.exp(0.5 * log_alpha) * nodes))).sum()
        exact = mean - 0.5 * log_alpha - without_signal
        assert abs(float(divergence(torch.tensor(log_alpha))) - exact) < 0.03


def test_the_joint_code_shrinks_to_nothing_without_channels() -> None:
    made = model()
    codes, has = made.encode(patients())
    assert made.together(codes, has * 0).abs().sum() == 0
    assert (made.together(codes, has).abs() <= codes.abs().max(dim=1).values + 1e-6).all()


def test_a_channel_is_reconstructed_without_looking_at_it() -> None:
    made, inputs = model().eval(), patients()
    first = reconstruct(made, inputs, "csf")
    again = reconstruct(made, without("csf"), "csf")
    np.testing.assert_allclose(first.mean, again.mean)
    assert ((first.low < first.mean) & (first.mean < first.high)).all()
    assert (first.mean[:, 1] > 0).all()  # a logarithm was taken: its inverse is positive
    sites = reconstruct(made, inputs, "genes")
    assert sites.names == ("e4", "site = a", "site = b", "site = c")
    np.testing.assert_allclose(sites.mean[:, 1:].sum(axis=1), 1.0)


def test_importance_is_the_derivative_of_the_logit() -> None:
    made, inputs = model().eval(), patients()[:1]
    said = {(each.channel, each.variable): each.logit for each in importance(made)}
    for column, (channel, variable) in enumerate(JOINT.variables):
        changed = inputs.clone()
        if variable.kind != "categorical":
            changed[0, column] += 1.0
            step = float((made(changed)[0, LOGIT] - made(inputs)[0, LOGIT]).detach())
            np.testing.assert_allclose(said[channel, variable.name], step, rtol=1e-3, atol=1e-6)
    assert [abs(each) for each in said.values()] == sorted(map(abs, said.values()), reverse=True)


def test_the_latent_space_uses_the_channels_asked_for() -> None:
    made = model().eval()
    np.testing.assert_allclose(
        latent(made, patients(), ["genes", "person"]), latent(made, without("csf")), atol=1e-7
    )
