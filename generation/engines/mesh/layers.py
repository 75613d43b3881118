"""The still taken apart: skin with closed eyes and lips, eyeballs, mouth interior, and the background behind the person."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh import raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.fill import box_blur, guided_filter, mirror_fill, pull_push
from generation.engines.mesh.source import RestFace

LUMA = (0.2126, 0.7152, 0.0722)  # BT.709


@dataclass(frozen=True, slots=True)
class EyeTexture:
    """One eyeball, continued under the lids."""

    image: Tensor  # (3, h, w)
    window: raster.Window
    anchor: Tensor  # (3,) middle of the eye corners, region pixels


@dataclass(frozen=True, slots=True)
class MouthTexture:
    """What is behind the lips: the still's own interior where it shows one, and the tones of an invented one."""

    image: Tensor  # (3, h, w)
    own: Tensor  # (h, w) 1 where the still shows its interior
    window: raster.Window
    anchor: Tensor  # (3,) middle of the mouth corners, region pixels
    tone: Tensor  # (3,) skin around the lips, 0..1


@dataclass(frozen=True, slots=True)
class Layers:
    """Everything that is drawn, on one device."""

    skin: Tensor  # (4, H, W) colour times alpha, alpha
    plate: Tensor  # (3, H, W)
    eyes: tuple[EyeTexture, EyeTexture]
    mouth: MouthTexture


def outline_of(vertices: Tensor, indices: tuple[int, ...]) -> Tensor:
    """Rounded polygon (N, 2) through the named vertices, sharp at the two corners."""
    return raster.rounded_outline(vertices[list(indices), :2], len(indices) // 2)


def build_layers(image: Tensor, matte: Tensor, rest: RestFace, iris_radius: Tensor, config: MeshConfig) -> Layers:
    """Take a region apart. image: (3, H, W) in 0..1, matte: (H, W), all on the CPU."""
    alpha = refine_matte(image, matte, rest)
    reach = max(2, round(config.plate_dilation * rest.height))
    hidden = F.max_pool2d((alpha > 0.04).float()[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0] > 0.5
    plate = mirror_fill(image, hidden)
    colour = torch.minimum((image - (1 - alpha) * plate).clamp_min(0), alpha[None])  # exact wherever the clamps do not bite
    eyes = tuple(_eye_texture(image, rest, eye, float(iris_radius[eye])) for eye in range(2))
    mouth = _mouth_texture(image, rest, config)
    closed = _close_openings(colour, rest)
    return Layers(torch.cat([closed, alpha[None]]), plate, (eyes[0], eyes[1]), mouth)


def refine_matte(image: Tensor, matte: Tensor, rest: RestFace) -> Tensor:
    """The person's share of every pixel: the tracker's matte, never less than the face, snapped to the picture's edges."""
    positions = raster.Window(0, 0, matte.shape[1], matte.shape[0]).centres(matte.device)
    oval = rest.vertices[list(topology.OVAL), :2]
    face = raster.coverage(oval, positions[::2, ::2], softness=0.05 * rest.height)
    face = F.interpolate(face[None, None], size=matte.shape, mode="bilinear", align_corners=False)[0, 0]
    middle = oval.mean(0)
    around = raster.coverage(middle + (oval - middle) * 1.15, positions[::2, ::2])
    if float((matte[::2, ::2] * around).sum() / around.sum()) < 0.7:
        return torch.ones_like(matte)  # the matte missed the person: warp the whole picture instead of cutting it wrongly
    grey = (image * torch.tensor(LUMA)[:, None, None]).sum(0)
    snapped = guided_filter(grey, torch.maximum(matte, face), max(2, round(0.03 * rest.height)), 1e-3)
    return ((torch.maximum(snapped, face) - 0.12) / 0.76).clamp(0, 1)


def _close_openings(colour: Tensor, rest: RestFace) -> Tensor:
    """Paint eyes shut with the colours of the lids and lips shut with a dark seam, so that the warp can never leak them."""
    size = (colour.shape[1], colour.shape[2])
    result = colour.clone()
    outlines = [topology.eye_outline(0), topology.eye_outline(1), topology.mouth_outline()]
    for indices, shade in zip(outlines, (0.9, 0.9, 0.6), strict=True):
        outline = outline_of(rest.vertices, indices)
        window = raster.window_around(outline, 0.08 * rest.height, size)
        rows, columns = slice(window.y0, window.y1), slice(window.x0, window.x1)
        inside = raster.coverage(outline, window.centres(colour.device), softness=1.5)
        grown = F.max_pool2d(inside[None, None], 3, stride=1, padding=1)[0, 0]
        patch = result[:, rows, columns]
        result[:, rows, columns] = torch.lerp(patch, shade * pull_push(patch, 1 - grown), inside)
    return result


def _eye_texture(image: Tensor, rest: RestFace, eye: int, radius: float) -> EyeTexture:
    outline = outline_of(rest.vertices, topology.eye_outline(eye))
    window = raster.window_around(outline, 0.1 * rest.height, (image.shape[1], image.shape[2]))
    patch = image[:, window.y0 : window.y1, window.x0 : window.x1]
    positions = window.centres(image.device)
    distance = raster.signed_distance(outline, positions)
    known = (-distance - 0.3).clamp(0, 1)  # the outermost pixels hold lashes
    filled = pull_push(patch, known)
    iris = rest.irises[eye, :2]
    mirrored = 2 * iris - positions  # an iris is round: what the lid hides looks like what is opposite
    corner = torch.tensor([window.x0, window.y0], dtype=torch.float32)
    seen = raster.sample(known[None], mirrored - corner)[0]
    disc = ((radius * 1.05 - (positions - iris).norm(dim=-1)) / max(1.0, 0.15 * radius) + 0.5).clamp(0, 1)
    filled = torch.lerp(filled, raster.sample(patch, mirrored - corner), (1 - known) * seen * disc)
    soft = (1.5 - distance).clamp(0, 1)  # one pixel of the still's own margin keeps the rim of the lids
    corners = rest.vertices[list(topology.EYE_CORNERS[eye])]
    return EyeTexture(torch.lerp(filled, patch, soft * (distance < 0)), window, corners.mean(0))


def _mouth_texture(image: Tensor, rest: RestFace, config: MeshConfig) -> MouthTexture:
    outline = outline_of(rest.vertices, topology.mouth_outline())
    size = (image.shape[1], image.shape[2])
    window = raster.window_around(outline, 0.2 * rest.height, size)
    patch = image[:, window.y0 : window.y1, window.x0 : window.x1]
    distance = raster.signed_distance(outline, window.centres(image.device))
    face = rest.vertices[: topology.FACE_POINTS]
    gap = (face[list(topology.INNER_LOWER[3:6])] - face[list(topology.INNER_UPPER[3:6])]) @ rest.axes[:, 1]
    parted = float(gap.mean()) > config.teeth_gap * rest.height
    own = (0.5 - distance / max(1.0, 0.012 * rest.height)).clamp(0, 1) * float(parted)
    known = (-distance).clamp(0, 1)
    filled = torch.lerp(pull_push(patch, known), patch, known) if parted else patch
    blurred = box_blur(image, max(1, round(0.02 * rest.height)))
    around = [2, 164, 18, 200, 57, 287, 205, 425]
    x, y = (face[around, i].long().clamp(0, size[1 - i] - 1) for i in range(2))
    lips = face[list(topology.MOUTH_CORNERS)]
    return MouthTexture(filled, own, window, lips.mean(0), blurred[:, y, x].median(1).values)
