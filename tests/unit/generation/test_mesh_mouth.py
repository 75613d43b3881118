"""What is behind the lips when the still shows nothing: teeth, tongue and cavity as a painter would put them there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from mesh_material import prepared
from torch import Tensor

from generation.engines.mesh import mouth, raster
from generation.engines.mesh.animator import PreparedStill
from generation.engines.mesh.layers import MouthTexture, _bared

SKIN = torch.tensor([0.8, 0.62, 0.52])
WHITE = SKIN * torch.tensor([1.05, 1.25, 1.35])
STONE = torch.tensor([0.65, 0.44, 0.32])
ONE = torch.tensor(1.0)


def opening(gap: float, *, upper: float = -0.02, pixels: int = 240) -> mouth.Opening:
    """A mouth seen from the front, `pixels` to its width; its lips bend towards the corners."""
    across, down = torch.meshgrid(torch.linspace(-0.5, 0.5, pixels), torch.linspace(-0.3, 0.9, pixels), indexing="xy")
    curves = torch.tensor([[upper, 0.0, 0.5], [upper + gap, 0.0, -1.0]])
    at = torch.tensor(upper), torch.tensor(upper + gap)
    return mouth.Opening(across, down, *at, curves, torch.tensor(1.2 / pixels))


def texture(tone: Tensor, white: Tensor, *, gap: float = 0.0, carved: bool = False) -> MouthTexture:
    flesh = tone * torch.tensor([0.9, 0.6, 0.55])
    blank = torch.zeros(3, 2, 2), torch.zeros(2, 2), raster.Window(0, 0, 2, 2)
    return MouthTexture(*blank, torch.zeros(3), gap, tone, flesh, white, ONE, torch.tensor(float(carved)), ONE)


def palette(tone: Tensor = SKIN, white: Tensor = WHITE, *, carved: bool = False) -> mouth.Palette:
    return mouth.palette_of(texture(tone, white, carved=carved))


def painted(view: mouth.Opening, colours: mouth.Palette | None = None, detail: float = 1.0) -> Tensor:
    return mouth.paint(colours or palette(), view, torch.tensor(detail), ONE)


def column(picture: Tensor, view: mouth.Opening, aside: float = 0.0) -> Tensor:
    """Brightness from the upper lip down to the lower one, (n,)."""
    x = int((view.across[0] - aside).abs().argmin())
    between = (view.down[:, x] > view.lip(0)[:, x]) & (view.down[:, x] < view.lip(1)[:, x])
    return picture.mean(0)[between, x]


def teeth(view: mouth.Opening) -> Tensor:
    """Brightness that comes from teeth alone, from the upper lip down to the lower one, (n,)."""
    bare = replace(palette(), teeth=torch.zeros(3))
    return column(painted(view) - painted(view, bare), view)


def saturation(colour: Tensor) -> float:
    return float(1 - colour.min() / colour.max())


def test_upper_teeth_fill_no_more_than_the_upper_third_of_a_wide_mouth() -> None:
    view = opening(0.5)
    upper, lower = teeth(view).chunk(2)
    bright = upper > 0.5 * upper.max()
    assert 0.1 < float(bright.float().mean()) / 2 < 0.34
    assert float(lower.max()) < 0.5 * float(upper.max())


def test_teeth_are_one_band_that_darkens_towards_the_corners_and_under_the_lip() -> None:
    view = opening(0.4)
    picture = painted(view)
    middle, side = column(picture, view), column(picture, view, aside=0.36)
    assert float(side.max()) < 0.75 * float(middle.max())
    assert float(middle[0]) < 0.9 * float(middle.max())


def test_gaps_between_teeth_are_faint_and_absent_in_a_small_mouth() -> None:
    def gaps(pixels: int) -> float:
        """What single teeth change of the row at a third of its height."""
        view = opening(0.35, pixels=pixels)
        row = int((view.down[:, 0] - 0.015).abs().argmin())
        details = 0.0, float(mouth.told_apart(view.softness))
        plain, told = (painted(view, detail=detail).mean(0)[row, view.across[0].abs() < 0.25] for detail in details)
        return float(((plain - told) / plain).max())

    assert 0.05 < gaps(300) < 0.25
    assert gaps(40) < 0.01


def test_the_biting_edge_is_soft_at_every_size() -> None:
    view = opening(0.4, pixels=300)
    steps = column(painted(view), view).diff().abs()
    assert float(steps.max()) < 0.25


def test_the_upper_teeth_stay_with_the_skull_while_the_jaw_drops() -> None:
    def edge(gap: float) -> float:
        view = opening(gap)
        upper = teeth(view).chunk(2)[0]
        return float((upper > 0.5 * upper.max()).sum()) / 240 * 1.2

    assert edge(0.45) == pytest.approx(edge(0.3), abs=0.012)


def test_a_mouth_that_opens_little_by_little_changes_little_by_little() -> None:
    pictures = torch.stack([painted(opening(gap)) for gap in torch.linspace(0.05, 0.6, 56).tolist()])
    second = pictures[2:] - 2 * pictures[1:-1] + pictures[:-2]
    assert float(second.abs().mean()) < 0.004


def test_lower_teeth_show_in_a_wide_mouth_only_and_stay_dim() -> None:
    narrow, wide = (teeth(opening(gap)).chunk(4)[3] for gap in (0.18, 0.5))
    assert float(narrow.max()) < 0.02
    assert 0.05 < float(wide.max()) < 0.6 * float(palette().teeth.mean())


def test_a_grin_with_a_shut_jaw_is_filled_with_teeth_and_a_dropped_jaw_leaves_a_gap() -> None:
    shut, dropped = (column(painted(view), view) for view in (opening(0.2, upper=-0.16), opening(0.2)))
    assert float(shut[5:-5].min()) > 1.5 * float(dropped[5:-5].min())


def test_teeth_are_a_warm_white_beside_skin() -> None:
    teeth = palette().teeth
    assert float(teeth[0]) > float(teeth[2])
    assert saturation(teeth) < 0.55 * saturation(SKIN)
    assert float(teeth.mean()) > float(SKIN.mean())


def test_a_sculpture_has_teeth_of_its_own_material_and_darker() -> None:
    carved = palette(STONE, 1.02 * STONE, carved=True).teeth
    assert saturation(carved) == pytest.approx(saturation(STONE), abs=0.12)
    assert float(carved.mean()) < 0.95 * float(STONE.mean())


def test_a_grey_picture_gets_a_grey_mouth() -> None:
    grey = torch.full((3,), 0.6)
    colours = mouth.palette_of(texture(grey, 1.1 * grey))
    for colour in (colours.teeth, colours.flesh, colours.cavity):
        assert saturation(colour) < 0.03


def test_the_cavity_is_far_darker_than_the_skin_and_warm() -> None:
    view = opening(0.5)
    darkest = painted(view)[:, (view.down - 0.16).abs().argmin(0)[0], 120]
    assert float(darkest.mean()) < 0.3 * float(SKIN.mean())
    assert float(darkest[0]) > float(darkest[2])


def test_a_large_mouth_is_drawn_coarsely_but_in_place() -> None:
    """A picture that is a straight ramp survives being drawn at every third pixel and enlarged."""
    y, x = torch.meshgrid(torch.arange(50.0), torch.arange(71.0), indexing="ij")
    places = torch.stack([3 + 0.5 * x - 0.1 * y, 7 + 0.2 * x + 0.4 * y], -1)
    coarse = mouth._every(places, 3)
    assert coarse.shape[0] < 20
    assert torch.allclose(mouth._enlarged(coarse.permute(2, 0, 1), 3, 50, 71).permute(1, 2, 0), places, atol=1e-4)


def test_a_shout_has_no_dark_rim_behind_the_lower_lip_and_what_shows_there_is_wet_and_red() -> None:
    view = opening(0.5)
    picture = painted(view)
    behind = column(picture, view)
    assert float(behind[-len(behind) // 4 :].min()) > 0.5 * float(SKIN.mean())
    x = int(view.across[0].abs().argmin())
    near = (view.down[:, x] > view.lip(1)[:, x] - 0.04) & (view.down[:, x] < view.lip(1)[:, x])
    assert float((picture[0] / picture[2])[near, x].min()) > 1.2 * float(SKIN[0] / SKIN[2])


def test_teeth_in_the_shade_of_a_cheek_are_warmer_not_greyer() -> None:
    view = opening(0.4)
    picture, row = painted(view), int((view.down[:, 0] - 0.01).abs().argmin())
    middle, side = (picture[:, row, int((view.across[0] - aside).abs().argmin())] for aside in (0.0, 0.3))
    assert float(side.mean()) < 0.85 * float(middle.mean())
    assert float(side[0] / side[2]) > 1.1 * float(middle[0] / middle[2])


def test_under_an_old_varnish_a_painted_person_keeps_ivory_teeth() -> None:
    painted_teeth, carved = palette(STONE, 1.02 * STONE).teeth, palette(STONE, 1.02 * STONE, carved=True).teeth
    assert saturation(painted_teeth) < 0.55 * saturation(STONE)
    assert float(painted_teeth.mean()) > 1.2 * float(carved.mean())


def test_a_smile_keeps_its_own_bright_teeth_and_lips_that_hardly_part_do_not_hold_theirs() -> None:
    inside = torch.ones(10, 10)
    bright, dim = (_bared(share * WHITE[:, None, None].expand(3, 10, 10), inside, WHITE) for share in (1.0, 0.75))
    assert float(bright) == 1.0
    assert float(dim) == 0.0


def test_a_person_who_smiles_at_the_camera_is_no_sculpture_and_shows_real_teeth() -> None:
    still = prepared()
    assert isinstance(still, PreparedStill)
    behind_lips = still.faces[0].layers.mouth
    assert float(behind_lips.carved) == 0.0
    assert float(behind_lips.bared) == 1.0
