from math import pi

import torch
from anatomies import hearts, points

from simulation.heart.anatomy.coordinates import LEFT, OUTSIDE, Coordinates, locate, place
from simulation.heart.anatomy.fibres import directions, fibres


def helix(anatomy, transmural: float) -> torch.Tensor:
    """Degrees between fibre and horizontal at the equator's height, all around."""
    angle = torch.linspace(-3, 3, 24, dtype=torch.float64).expand(len(anatomy), -1)
    where = Coordinates(
        torch.full_like(angle, transmural),
        torch.full_like(angle, 0.7),
        angle,
        torch.full_like(angle, LEFT).long(),
    )
    return (180 / pi) * torch.asin(fibres(anatomy, place(anatomy, where))[..., 2])


def test_fibres_are_unit_vectors_within_the_surfaces_of_equal_depth():
    anatomy = hearts()
    cloud = points(anatomy, 10_000)
    inside = locate(anatomy, cloud).ventricle != OUTSIDE
    along = fibres(anatomy, cloud)
    outward = directions(anatomy, cloud)[2]
    assert torch.allclose(along.norm(dim=-1)[inside], torch.ones_like(along[..., 0])[inside])
    assert (along * outward).sum(-1)[inside].abs().max() < 1e-12


def test_outward_is_the_gradient_of_the_transmural_coordinate():
    """Against central differences of `locate`, which shares no derivative with `directions`."""
    anatomy = hearts()
    cloud = points(anatomy, 10_000)
    step = 1e-4 * torch.eye(3, dtype=torch.float64)
    differences = [
        locate(anatomy, cloud + e).transmural - locate(anatomy, cloud - e).transmural for e in step
    ]
    gradient = torch.nn.functional.normalize(torch.stack(differences, dim=-1), dim=-1)
    inside = (locate(anatomy, cloud).ventricle == LEFT) & (cloud[..., 2] < -0.1)
    cosine = (gradient * directions(anatomy, cloud)[2]).sum(-1)[inside]
    assert cosine.mean() > 0.999
    assert cosine.min() > 0.98


def test_the_helix_goes_from_plus_sixty_to_minus_sixty_degrees():
    anatomy = hearts()
    for transmural, expected in ((0.0, 60), (0.25, 30), (0.5, 0), (1.0, -60)):
        found = helix(anatomy, transmural)
        assert abs(found.mean() - expected) < 3
        assert (found - expected).abs().max() < 12  # the wall itself is inclined


def test_circumferential_fibres_run_with_the_angle_and_right_handed_at_the_endocardium():
    anatomy = hearts()
    zero = torch.zeros(len(anatomy), 1, dtype=torch.float64)
    where = Coordinates(zero, zero + 0.7, zero, zero.long() + LEFT)
    x, y, z = fibres(anatomy, place(anatomy, where))[:, 0].unbind(-1)
    assert (y > 0.3).all()  # rising angle at the septum is +y
    assert (z > 0.8).all()  # and towards the base
    assert (x.abs() < 0.3).all()


def test_other_angles_are_followed():
    anatomy = hearts()
    cloud = points(anatomy, 2000)
    flat = fibres(anatomy, cloud, endo_degrees=0, epi_degrees=0)
    assert torch.allclose(flat, directions(anatomy, cloud)[0])


def test_directions_are_orthogonal_and_defined_on_the_axis():
    anatomy = hearts()
    middle = -(anatomy.endo_length + anatomy.length)[:, None] / 2
    axis = torch.stack([torch.zeros_like(middle), torch.zeros_like(middle), middle], dim=-1)
    cloud = torch.cat([points(anatomy, 500), axis], dim=1)
    frame = torch.stack(directions(anatomy, cloud), dim=-1)
    product = frame.transpose(-1, -2) @ frame
    assert torch.isfinite(frame).all()
    assert torch.allclose(product, torch.eye(3, dtype=torch.float64).expand_as(product), atol=1e-9)
