"""The background behind a person who moves: edges run on, patterns do not become wallpaper, and no seam is seen."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh.exemplar import exemplar_fill
from generation.engines.mesh.layout import lay_out

SIDE = 160


def grid() -> tuple[Tensor, Tensor]:
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return rows, columns


def disc(radius: int = 42) -> Tensor:
    rows, columns = grid()
    return (rows - 80).square() + (columns - 80).square() < radius**2


def noise(scale: int, seed: int = 3) -> Tensor:
    """A soft random pattern (SIDE, SIDE) around 0 with grains of `scale` pixels."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.randn(1, 1, SIDE // scale, SIDE // scale, generator=generator)
    return F.interpolate(small, size=(SIDE, SIDE), mode="bicubic", align_corners=False)[0, 0]


def filled(picture: Tensor, hidden: Tensor) -> Tensor:
    """The plate behind a person of a colour that nothing else has."""
    person = torch.tensor([1.0, 0.0, 1.0])[:, None, None]
    return exemplar_fill(torch.where(hidden, person, picture), hidden, hidden)


@pytest.mark.parametrize("upright", [True, False])
def test_the_edge_of_a_wall_runs_on_behind_the_head(upright: bool) -> None:
    rows, columns = grid()
    wall = torch.where((columns if upright else rows) < 76, 0.25, 0.75) + 0.01 * noise(2)
    error = (filled(wall.expand(3, -1, -1).clone(), disc()) - wall).abs()[:, disc()]
    assert float(error.mean()) < 0.06


def test_grass_keeps_its_grain_and_does_not_repeat() -> None:
    hidden = disc()
    grass = (0.5 + 0.12 * noise(4)).clamp(0, 1)
    plate = filled(grass.expand(3, -1, -1).clone(), hidden)[0]
    assert float(plate[hidden].std()) > 0.7 * float(grass[hidden].std())
    inside = plate[52:108, 52:108] - plate[52:108, 52:108].mean()
    spectrum = torch.fft.rfft2(inside, s=(112, 112)).abs().square()
    alike = torch.fft.irfft2(spectrum, s=(112, 112)) / inside.square().sum()
    alike[:9, :9] = alike[-8:, :9] = alike[:9, -8:] = alike[-8:, -8:] = 0  # beside itself
    assert float(alike.max()) < 0.5


def test_light_that_changes_across_the_wall_leaves_no_step_at_a_seam() -> None:
    rows, columns = grid()
    wall = 0.3 + 0.4 * columns / SIDE + 0.1 * rows / SIDE + 0.005 * noise(2)
    plate = filled(wall.expand(3, -1, -1).clone(), disc())[0]
    known = (wall.diff(dim=1).abs()).quantile(0.99)
    assert float((plate.diff(dim=1).abs())[disc()[:, 1:]].quantile(0.99)) < 3 * float(known) + 0.01
    assert float((plate - wall).abs()[disc()].mean()) < 0.04


def test_nothing_of_the_person_is_copied_into_the_background() -> None:
    plate = filled((0.5 + 0.1 * noise(4)).clamp(0, 1).expand(3, -1, -1).clone(), disc())
    assert float((plate[0] - plate[1]).abs().max()) < 0.02


def test_a_rare_object_is_not_laid_on_a_bare_wall() -> None:
    rows, columns = grid()
    wall = 0.6 + 0.01 * noise(2)
    lamp = (rows < 30) & (columns < 30)
    plate = filled(torch.where(lamp, 0.05, wall).expand(3, -1, -1).clone(), disc())[0]
    assert float(plate[disc()].min()) > 0.5


def test_the_same_still_always_gives_the_same_plate() -> None:
    grass = (0.5 + 0.12 * noise(4)).clamp(0, 1).expand(3, -1, -1).clone()
    assert torch.equal(filled(grass, disc()), filled(grass, disc()))


def test_a_picture_that_is_nearly_all_person_is_laid_out_by_nothing() -> None:
    hidden = torch.ones(64, 64, dtype=torch.bool)
    hidden[:, :5] = False
    assert lay_out(torch.zeros(3, 64, 64), hidden, hidden) is None
