"""The still taken apart: skin with closed eyes and lips, eyeballs, mouth interior, and the background behind the person."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy import ndimage
from torch import Tensor

from generation.engines.mesh import geometry, raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.exemplar import exemplar_fill
from generation.engines.mesh.eyeball import BLUR_PX, EyeTexture, eye_texture
from generation.engines.mesh.fill import LUMA, box_blur, grown, guided_filter, pull_push, resized
from generation.engines.mesh.source import RestFace, far_cheek

FLAT_STEP = 0.003  # skin of a photograph changes more from pixel to pixel, in a face 100 pixels high


@dataclass(frozen=True, slots=True)
class MouthTexture:
    """What is behind the lips: the still's own interior where it shows one, and the tones of an invented one."""

    image: Tensor  # (3, h, w)
    own: Tensor  # (h, w) 1 where the still shows its interior
    window: raster.Window
    anchor: Tensor  # (3,) middle of the mouth corners, region pixels
    gap: float  # of the still's lips, in face heights
    tone: Tensor  # (3,) skin around the lips, 0..1
    flesh: Tensor  # (3,) tongue and gums
    enamel: Tensor  # (3,) teeth in the light of the still
    detail: Tensor  # () 1 where single teeth are told apart, 0 in a flat drawing
    carved: Tensor  # () 1 where eyes have no iris: a sculpture is all of one material
    bared: Tensor  # () 1 where the interior that the still shows is teeth as light as teeth are, 0 where it is dim


@dataclass(frozen=True, slots=True)
class Layers:
    """Everything that is drawn, on one device."""

    skin: Tensor  # uint8 (H, W, 4) colour times alpha, alpha
    plate: Tensor  # uint8 (H, W, 3)
    eyes: tuple[EyeTexture, EyeTexture]
    mouth: MouthTexture
    turned: Tensor | None = None  # (V, 2) where the mesh takes its colours once a hidden cheek has come into view


def as_levels(image: Tensor) -> Tensor:
    """(C, H, W) of 0..1 as a picture (H, W, C) of levels 0..255, uint8."""
    return (255 * image + 0.5).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()


def outline_of(vertices: Tensor, indices: tuple[int, ...]) -> Tensor:
    """Rounded polygon (N, 2) through the named vertices, sharp at the two corners."""
    return raster.rounded_outline(vertices[list(indices), :2], len(indices) // 2)


def build_layers(image: Tensor, matte: Tensor, rest: RestFace, iris_radius: Tensor, calm: Tensor, config: MeshConfig) -> Layers:
    """Take a region apart. image: (3, H, W) in 0..1, matte: (H, W), calm: (h, w) share of the motion; all on the CPU."""
    alpha = refine_matte(image, matte, rest, config)
    reach = max(2, round(config.plate_dilation * rest.height))
    hidden = grown(alpha > 0.04, reach) > 0
    inside = torch.from_numpy(ndimage.distance_transform_edt(hidden.numpy()))
    plate = exemplar_fill(image, hidden, inside < config.reveal_reach * rest.height)
    revealed = resized(calm[None, 1:-1, 1:-1], (image.shape[1], image.shape[2]))  # nothing where all rests
    # Beside the person the background is known, but for stray hair: what was made up gives way to it with distance.
    beside = torch.from_numpy(ndimage.distance_transform_edt((alpha <= 0.04).numpy())).to(image)
    plate = torch.lerp(image, plate, revealed * (1 - geometry.smoothstep(beside, 0.05 * reach, 0.5 * reach)))
    colour = torch.minimum((image - (1 - alpha) * plate).clamp_min(0), alpha[None])  # exact wherever the clamps do not bite
    white = _eye_white(image, rest, iris_radius)
    eyes = tuple(eye_texture(image, rest, eye, float(iris_radius[eye]), white) for eye in range(2))
    mouth = _mouth_texture(image, rest, white, _carved(image, rest, iris_radius, white), config)
    closed = close_openings(colour, rest)
    skin = as_levels(torch.cat([closed, alpha[None]]))
    return Layers(skin, as_levels(plate), (eyes[0], eyes[1]), mouth, far_cheek(rest, matte))


def refine_matte(image: Tensor, matte: Tensor, rest: RestFace, config: MeshConfig) -> Tensor:
    """The person's share (H, W) of every pixel: the tracker's matte, snapped to edges and colours, never less than the face."""
    size = (matte.shape[0], matte.shape[1])
    ratio = min(1.0, config.matte_px / max(size))
    coarse = (round(size[0] * ratio), round(size[1] * ratio))
    small, height = resized(image, coarse), rest.height * ratio
    oval = rest.vertices[list(topology.OVAL), :2] * ratio
    middle, positions = oval.mean(0), raster.Window(0, 0, coarse[1], coarse[0]).centres(matte.device)
    face = raster.coverage(middle + (oval - middle) * 0.94, positions, softness=0.06 * height)
    rough = resized(matte[None], coarse)[0]
    around = raster.coverage(middle + (oval - middle) * 1.15, positions)
    if float((rough * around).sum() / around.sum()) < 0.7:
        return torch.ones_like(matte)  # the matte missed the person: warp the whole picture instead of cutting it wrongly
    rough = torch.maximum(rough, face)
    rough = torch.maximum(rough * _connected(rough, face, max(2, round(0.04 * height))), face)
    grey = (small * torch.tensor(LUMA)[:, None, None]).sum(0)
    snapped = guided_filter(grey, rough, max(2, round(0.03 * height)), 1e-3)
    alpha = ((torch.maximum(snapped, face) - 0.12) / 0.76).clamp(0, 1)
    hints = resized(torch.cat([_colour_hints(small, alpha, height), alpha[None], face[None]]), size)
    return torch.maximum(_by_colour(image, hints), hints[-1])


def _colour_hints(image: Tensor, alpha: Tensor, height: float) -> Tensor:
    """(7, h, w): local colours of person and background, and how far a pixel between them tells its share, 0 away from edges."""
    reach = max(2, round(0.035 * height))
    person, background = (grown(mask, reach) == 0 for mask in (alpha <= 0.9, alpha >= 0.1))
    if not (bool(person.any()) and bool(background.any())):
        return torch.zeros(7, *alpha.shape)
    front, front_noise = _local_colour(image, person)
    back, back_noise = _local_colour(image, background)
    distance = (front - back).square().sum(0)
    told = geometry.smoothstep(distance / (distance + 8 * (front_noise + back_noise) + 1e-3), 0.45, 0.85)
    return torch.cat([front, back, (told * ~(person | background))[None]])


def _by_colour(image: Tensor, hints: Tensor) -> Tensor:
    """The share (H, W) of the person in each pixel, from where its colour lies between the two around it. hints: (9, H, W)."""
    front, back, told, alpha = hints[:3], hints[3:6], hints[6], hints[7]
    apart = front - back
    share = ((image - back) * apart).sum(0) / apart.square().sum(0).clamp_min(1e-6)
    return torch.lerp(alpha, ((share - 0.12) / 0.76).clamp(0, 1), told)


def _local_colour(image: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Colour (3, H, W) that the known pixels around each place have, and the variance (H, W) between them."""
    moments = pull_push(torch.cat([image, image.square()]), known.to(image))
    mean = box_blur(moments, 4)
    return mean[:3], (mean[3:] - mean[:3].square()).clamp_min(0).sum(0)


def _connected(matte: Tensor, face: Tensor, reach: int) -> Tensor:
    """(H, W) 1 within `reach` pixels of the part of a matte that hangs together with the face; the rest is background."""
    parts, _ = ndimage.label((matte > 0.4).numpy())
    own = parts[int(face.argmax()) // face.shape[1], int(face.argmax()) % face.shape[1]]
    return grown(torch.from_numpy(parts == own), reach)


def close_openings(colour: Tensor, rest: RestFace, *, eyes: bool = True, lips: bool = True) -> Tensor:
    """Paint eyes shut with the colours of the lids and lips with their own, so that the warp can never leak them. (3, H, W)."""
    size = (colour.shape[1], colour.shape[2])
    result = colour.clone()
    outlines = [(topology.eye_outline(0), 0.9), (topology.eye_outline(1), 0.9)] if eyes else []
    outlines += [(topology.mouth_outline(), 1.0)] if lips else []
    for indices, shade in outlines:
        outline = outline_of(rest.vertices, indices)
        window = raster.window_around(outline, 0.08 * rest.height, size)
        if window.is_empty:
            continue
        inside = raster.coverage(outline, window.centres(colour.device), softness=1.5)
        patch = result[:, window.rows, window.columns]
        result[:, window.rows, window.columns] = torch.lerp(patch, shade * pull_push(patch, 1 - grown(inside, 1)), inside)
    return result


def _eye_white(image: Tensor, rest: RestFace, iris_radius: Tensor) -> Tensor:
    """(3,) colour of the whites of the eyes: teeth are as light, in the same light and the same hand's style."""
    found = []
    for eye in range(2):
        outline = outline_of(rest.vertices, topology.eye_outline(eye))
        window = raster.window_around(outline, 1.0, (image.shape[1], image.shape[2]))
        positions = window.centres(image.device)
        depth = -raster.signed_distance(outline, positions)
        iris = (positions - rest.irises[eye, :2]).norm(dim=-1)
        rim = torch.maximum(1.15 * iris_radius[eye], iris_radius[eye] + BLUR_PX)
        white = (depth > max(0.01 * rest.height, BLUR_PX)) & (iris > rim)
        found.append(image[:, window.rows, window.columns][:, white])
    colours = torch.cat(found, 1)  # (3, N)
    if colours.shape[1] < 8:
        return torch.full((3,), 0.75)
    luma = (colours * torch.tensor(LUMA)[:, None]).sum(0)
    bright = (luma >= luma.quantile(0.8)) & (luma <= luma.quantile(0.98))  # neither lashes nor reflections
    return colours[:, bright].mean(1)


def _carved(image: Tensor, rest: RestFace, iris_radius: Tensor, white: Tensor) -> Tensor:
    """() 1 where no iris is darker than the white (3,) around it, 0 where both are seen by their colour."""
    luma = torch.tensor(LUMA)
    darkest = []
    for eye in range(2):
        middle = rest.irises[eye : eye + 1, :2]
        around = raster.window_around(middle, 0.6 * float(iris_radius[eye]), (image.shape[1], image.shape[2]))
        iris = image[:, around.rows, around.columns].flatten(1)
        darkest.append((iris * luma[:, None]).sum(0).median() if iris.shape[1] else luma.new_tensor(1.0))
    contrast = torch.stack(darkest).amin() / (white @ luma).clamp_min(0.02)
    return geometry.smoothstep(contrast, 0.5, 0.75)


def _mouth_texture(image: Tensor, rest: RestFace, white: Tensor, carved: Tensor, config: MeshConfig) -> MouthTexture:
    outline = outline_of(rest.vertices, topology.mouth_outline())
    size = (image.shape[1], image.shape[2])
    window = raster.window_around(outline, 0.2 * rest.height, size)
    patch = image[:, window.rows, window.columns]
    positions = window.centres(image.device)
    distance = raster.signed_distance(outline, positions)
    face = rest.vertices[: topology.FACE_POINTS]
    gaps = (face[list(topology.INNER_LOWER[3:6])] - face[list(topology.INNER_UPPER[3:6])]) @ rest.axes[:, 1]
    gap = float(gaps.mean()) / rest.height
    parted = gap > config.teeth_gap
    lifted = raster.signed_distance(outline - config.own_lift * rest.height * rest.axes[:2, 1], positions)
    own = (0.5 - torch.minimum(distance, lifted) / max(1.0, 0.012 * rest.height)).clamp(0, 1) * float(parted)
    known = (-distance - 0.5).clamp(0, 1)
    filled = torch.lerp(pull_push(patch, known), patch, known) if parted else patch
    blurred = box_blur(image, max(1, round(0.02 * rest.height)))
    tone = _colours_at(blurred, face[[2, 164, 18, 200, 57, 287, 205, 425]]).median(1).values
    lips = _colours_at(blurred, face[[0, 17, 39, 269, 84, 314]]).mean(1)
    flesh = torch.lerp(tone * torch.tensor([0.86, 0.54, 0.52]), lips * torch.tensor([0.98, 0.80, 0.80]), 0.5)
    middle = face[list(topology.MOUTH_CORNERS)].mean(0)
    enamel = teeth_colour(white, tone)
    detail = _drawn_detail(image, face)
    return MouthTexture(filled, own, window, middle, gap, tone, flesh, enamel, detail, carved, _bared(patch, own, enamel))


def _bared(patch: Tensor, own: Tensor, enamel: Tensor) -> Tensor:
    """() how far the lightest of a still's own interior is as light as teeth should be: 0 behind lips that hardly part."""
    luma = torch.tensor(LUMA)
    inside = (patch * luma[:, None, None]).sum(0)[own > 0.5]
    if len(inside) < 4:
        return torch.tensor(0.0)
    return geometry.smoothstep(inside.quantile(0.8) / (enamel @ luma), 0.82, 0.95)


def teeth_colour(white: Tensor, tone: Tensor) -> Tensor:
    """(3,) teeth beside eyes of this white and skin of this tone: no darker than the skin, and a little less colourful."""
    luma = torch.tensor(LUMA)
    light = torch.maximum(white @ luma, 1.02 * tone @ luma)
    ivory = (white / (white @ luma).clamp_min(0.02) * light) * torch.tensor([1.04, 1.01, 0.94])
    return torch.lerp(ivory, light.expand(3), 0.3).clamp(max=0.93)


def _colours_at(image: Tensor, points: Tensor) -> Tensor:
    """Colours (3, N) of (3, H, W) at points (N, 3)."""
    x, y = (points[:, i].long().clamp(0, image.shape[2 - i] - 1) for i in range(2))
    return image[:, y, x]


def _drawn_detail(image: Tensor, face: Tensor) -> Tensor:
    """() 0 where skin is one flat colour as in a drawing, 1 where it is a photograph's or a painter's. face: (468, 3)."""
    height = float((face[topology.CHIN] - face[topology.FOREHEAD]).norm())
    size = (image.shape[1], image.shape[2])
    steps = []
    for cheek in (50, 280, 151):
        around = raster.window_around(face[cheek : cheek + 1, :2], 0.06 * height, size)
        grey = (image[:, around.rows, around.columns] * torch.tensor(LUMA)[:, None, None]).sum(0)
        if min(grey.shape) > 2:
            steps.append((grey[1:] - grey[:-1]).abs().quantile(0.9))
    busy = torch.stack(steps).median() * height / 100 if steps else torch.tensor(1.0)
    return (busy / FLAT_STEP).clamp(0, 1)
