"""Steps and crawl of the edges of discs with known edges."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.metrics.edges import edge_crawl, edge_displacement, edge_steps

SIZE = 64
SAMPLES = 8
EVERYWHERE = torch.ones(1, 1, SIZE, SIZE)


def disc(x: float = 31.3, radius: float = 20.0, samples: int = SAMPLES) -> Tensor:
    """Return a bright disc (1, 3, 64, 64), filtered from `samples` by `samples` per pixel."""
    at = (torch.arange(SIZE * samples) + 0.5) / samples
    inside = ((at - x).square() + (at[:, None] - 30.7).square() < radius**2).float()[None, None]
    # Two box filters are a tent of two pixels, as in the studio; one sample per pixel has none.
    half = samples // 2
    smooth = F.avg_pool2d(inside, samples + 1 - samples % 2, 1, half, count_include_pad=False)
    return (0.2 + 0.6 * F.avg_pool2d(smooth, samples)).expand(-1, 3, -1, -1)


def test_equal_images_have_no_steps() -> None:
    assert edge_steps(disc(), disc(), EVERYWHERE).item() == 0


def test_one_sample_per_pixel_gives_steps_of_about_a_quarter_of_a_pixel() -> None:
    # Displacements from -1/2 to 1/2 have a root mean square of 0.29, which the window reduces.
    assert 0.15 < edge_steps(disc(samples=1), disc(), EVERYWHERE).item() < 0.3
    assert edge_steps(disc(samples=2), disc(), EVERYWHERE).item() < 0.1


def test_wider_blurred_and_darker_discs_have_small_steps() -> None:
    blurred = F.avg_pool2d(F.pad(disc(), (1, 1, 1, 1), mode="replicate"), 3, 1)
    stepping = edge_steps(disc(samples=1), disc(), EVERYWHERE).item()
    for image, share in ((disc(radius=20.4), 0.3), (0.9 * disc(), 0.3), (blurred, 0.6)):
        assert edge_steps(image, disc(), EVERYWHERE).item() < share * stepping


def test_the_displacement_of_an_edge_is_measured_in_pixels() -> None:
    """Alternate eighths of a disc are 0.3 pixels wider."""
    at = torch.arange(SIZE) + 0.5
    angle = torch.atan2(at[:, None] - 30.7, at[None] - 31.3)
    further = (torch.floor(angle / 0.7854) % 2 == 0).expand(1, 3, -1, -1)
    image = torch.where(further, disc(radius=20.3), disc(radius=20.0))
    displacement, weight = edge_displacement(image, disc(radius=20.15))
    edge = weight > 0.01
    assert edge.sum() > 60
    # Brighter pixels lie inside: a wider disc is displaced away from them.
    wider = edge & further[:, :1]
    assert displacement[wider].median().item() == pytest.approx(-0.12, abs=0.05)
    assert displacement[edge & ~wider].median().item() == pytest.approx(0.12, abs=0.05)


def test_crawl_is_the_change_of_steps_between_two_frames() -> None:
    truths = disc(), disc(x=31.55)
    still = edge_crawl(truths, truths, EVERYWHERE).item()
    stepping = edge_crawl((disc(samples=1), disc(x=31.55, samples=1)), truths, EVERYWHERE).item()
    constant = edge_crawl((disc(x=31.5), disc(x=31.75)), truths, EVERYWHERE).item()
    assert still == 0
    assert stepping > 0.1
    assert constant < 0.02


def test_only_pixels_of_the_mask_are_measured() -> None:
    half_stepping = disc(samples=1).clone()
    half_stepping[..., SIZE // 2 :] = disc()[..., SIZE // 2 :]
    left, right = EVERYWHERE.clone(), EVERYWHERE.clone()
    left[..., SIZE // 2 - 4 :] = 0
    right[..., : SIZE // 2 + 8] = 0
    assert edge_steps(half_stepping, disc(), left).item() > 0.1
    assert edge_steps(half_stepping, disc(), right).item() < 0.02
    assert edge_steps(disc(), disc(), torch.zeros_like(EVERYWHERE)).item() == 0
