from functools import cache

import numpy as np
import torch
from torch import Tensor

from simulation.heart.imaging.slices import Stack, short_axis

LENGTH = (95.0, 80.0)  # mm
SIZE, SPACING, THICKNESS, DISTANCE = (60, 48), 1.5, 8.0, 10.0
SLICES = 9


def of(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


@cache
def tilted() -> Stack:
    """Two patients, turned and tilted by different angles, who hold their breath well."""
    return short_axis(
        of(*LENGTH),
        of(0.3, -0.4),
        (of(0.1, -0.2), of(-0.15, 0.05)),
        torch.zeros(2, SLICES, 3, dtype=torch.float64),
        SIZE,
        SPACING,
        THICKNESS,
        DISTANCE,
    )


@cache
def upright(breathing: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Stack:
    none = of(0.0, 0.0)
    moved = torch.tensor(breathing, dtype=torch.float64).expand(2, SLICES, 3)
    return short_axis(of(*LENGTH), none, (none, none), moved, SIZE, SPACING, THICKNESS, DISTANCE)


def test_axes_are_perpendicular_unit_vectors_and_right_handed() -> None:
    places = tilted()
    axes = torch.stack([places.across, places.down, places.normal], dim=1)
    assert torch.allclose(axes @ axes.mT, torch.eye(3, dtype=torch.float64).expand(2, 3, 3), atol=1e-12)
    assert torch.allclose(torch.linalg.det(axes), of(1.0, 1.0))


def test_without_tilt_columns_leave_the_septum_and_rows_the_anterior_wall() -> None:
    places = upright()
    assert torch.allclose(places.across, of(-1, 0, 0).expand(2, 3))
    assert torch.allclose(places.down, of(0, -1, 0).expand(2, 3))
    assert torch.allclose(places.normal, of(0, 0, 1).expand(2, 3))


def test_slices_go_from_base_to_apex_at_equal_distances() -> None:
    step = tilted().centres.diff(dim=1)
    assert torch.allclose(step, (-DISTANCE * tilted().normal)[:, None].expand_as(step))


def test_slices_are_centred_on_the_middle_of_the_long_axis() -> None:
    heights = upright().centres[:, :, 2]
    assert torch.allclose(heights.mean(1), -0.5 * of(*LENGTH))


def test_the_image_has_room_for_the_rv_on_its_left() -> None:
    # The LV's axis lies right of the image's middle.
    assert bool((upright().centres[:, :, 0] > 5).all())


def test_points_of_a_voxel_lie_evenly_about_its_middle() -> None:
    middle = tilted().points(1, 3, (1, 1, 1))
    parts = tilted().points(1, 3, (2, 3, 4))
    assert parts.shape == (*SIZE, 24, 3)
    assert torch.allclose(parts.mean(2, keepdim=True), middle)
    deep = (parts - middle) @ tilted().normal[1]
    assert torch.allclose(deep.amax(2) - deep.amin(2), of(THICKNESS * 3 / 4).expand(SIZE))
    aside = (parts - middle) @ tilted().across[1]
    assert torch.allclose(aside.amax(2) - aside.amin(2), of(SPACING * 2 / 3).expand(SIZE))
    under = (parts - middle) @ tilted().down[1]
    assert torch.allclose(under.amax(2) - under.amin(2), of(SPACING / 2).expand(SIZE))


def test_neighbouring_voxels_are_one_spacing_apart() -> None:
    middle = tilted().points(0, 0, (1, 1, 1))[:, :, 0]
    assert torch.allclose(middle.diff(dim=1), (SPACING * tilted().across[0]).expand(SIZE[0], SIZE[1] - 1, 3))
    assert torch.allclose(middle.diff(dim=0), (SPACING * tilted().down[0]).expand(SIZE[0] - 1, SIZE[1], 3))
    assert torch.allclose(middle.mean((0, 1)), tilted().centres[0, 0])


def test_a_heart_that_moved_is_seen_where_it_was_not() -> None:
    # What is seen of a heart that moved by d is what lay at -d.
    shift = (3.0, -2.0, 4.0)
    places = upright(shift)
    seen = places.points(0, 2, (1, 1, 1)) - upright().points(0, 2, (1, 1, 1))
    moved = shift[0] * places.across[0] + shift[1] * places.down[0] + shift[2] * places.normal[0]
    assert torch.allclose(seen, -moved.expand_as(seen))


def test_header_and_affine_put_voxels_at_the_same_place() -> None:
    for patient in (0, 1):
        across, down, first = tilted().axes(patient)
        affine = tilted().affine(patient)
        for column, row, number in ((0, 0, 0), (17, 40, 3), (47, 59, 8)):
            header = first[number] + SPACING * (column * across + row * down)
            there = (affine @ np.array([column, row, number, 1]))[:3]
            assert np.allclose(there, header * [-1, -1, 1])  # to right-anterior-superior


def test_patient_coordinates_are_the_hearts_turned_and_not_stretched() -> None:
    across, down, first = tilted().axes(0)
    heart = torch.stack([tilted().points(0, number, (1, 1, 1))[0, 0, 0] for number in range(SLICES)]).numpy()
    apart, before = np.diff(first, axis=0), np.diff(heart, axis=0)
    assert np.allclose(np.linalg.norm(apart, axis=1), DISTANCE)
    assert np.allclose(apart @ across, before @ tilted().across[0].numpy())
    assert np.allclose([across @ across, down @ down, across @ down], [1, 1, 0])
    # The first pixel is a turned copy, so a turned copy of its distance to the heart's origin.
    assert np.allclose(np.linalg.norm(first, axis=1), np.linalg.norm(heart, axis=1))
    # Right-handed: no heart is mirrored.
    assert np.allclose(np.cross(across, down), -apart[0] / DISTANCE)


def test_the_heart_lies_in_the_chest_as_hearts_do() -> None:
    across, down, first = upright().axes(0)
    apex = first[-1] - first[0]
    assert apex[0] > 0  # left
    assert apex[1] < 0  # in front
    assert apex[2] < 0  # towards the feet
    septum, anterior = -across, -down
    assert septum[0] < 0  # to the right
    assert septum[1] < 0  # and forwards
    assert anterior[2] > 0.5  # upwards


def test_an_odd_image_has_its_middle_pixel_at_its_centre() -> None:
    none = of(0.0)
    odd = short_axis(of(90.0), none, (none, none), torch.zeros(1, 1, 3, dtype=torch.float64), (5, 5), 2.0)
    assert torch.allclose(odd.points(0, 0, (1, 1, 1))[2, 2, 0], odd.centres[0, 0])
