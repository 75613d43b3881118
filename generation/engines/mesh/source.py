"""A still made ready: each face's work region, its mesh at rest, and the layers that will be warped."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from generation.engines.base import UnusableSource
from generation.engines.mesh import geometry, raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.motion import face_size

TURNED_STILL = 0.2  # sine of the angle from which a still hides a cheek
WITHIN = 0.03  # face heights from the edge of the person or of what is drawn on the skin


@dataclass(frozen=True, slots=True)
class Region:
    """The part of the still that one face may change: rows top .. bottom, columns left .. right."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True, slots=True)
class RestFace:
    """The still's face at rest, in region pixels."""

    vertices: Tensor  # (V, 3): 468 face points, then the rings
    texture: Tensor  # (V, 2) where each vertex takes its colour; differs from its place where the still hides it
    irises: Tensor  # (2, 3) centres
    axes: Tensor  # (3, 3) columns: head axes
    centre: Tensor  # (3,) of the stable points
    width: float
    height: float
    head_weight: Tensor  # (V,) 1 on the head, 0 on torso and background
    follow_weight: Tensor  # (V,) share of the head's shift taken by what is not head
    ring_follow: Tensor  # (V - 468,) share of the oval's expression taken by each ring vertex


def choose_region(landmarks: Tensor, size: tuple[int, int], config: MeshConfig) -> Region:
    """A square of `crop_heights` face heights around the head, cut at the picture's edges. landmarks: (478, 3) px."""
    height, width = size
    oval = landmarks[list(topology.OVAL), :2]
    low, high = oval.min(0).values, oval.max(0).values
    centre = (low + high) / 2
    half = float((high - low).max()) * config.crop_heights / 2
    left, top = max(0, int(centre[0] - half)), max(0, int(centre[1] - half))
    right, bottom = min(width, int(centre[0] + half) + 1), min(height, int(centre[1] + half) + 1)
    return Region(left, top, right, bottom)


def require_usable_face(landmarks: Tensor, size: tuple[int, int], config: MeshConfig) -> None:
    """Raise UnusableSource for a face too small, turned too far or cut off. landmarks: (478, 3) px, size: (height, width)."""
    _, height = face_size(landmarks)
    if height < config.min_face_px:
        raise UnusableSource(
            f"the face is {height:.0f} pixels high and at least {config.min_face_px:.0f} are needed; "
            "use a larger picture or a closer portrait"
        )
    yaw = abs(float(torch.rad2deg(geometry.to_angles(geometry.head_axes(landmarks))[0])))
    if yaw > config.max_source_yaw_deg:
        raise UnusableSource(
            f"the face is turned {yaw:.0f} degrees away and at most {config.max_source_yaw_deg:.0f} can be animated; "
            "use a portrait that shows both eyes"
        )
    moving = landmarks[[*topology.eye_outline(0), *topology.eye_outline(1), *topology.mouth_outline()], :2]
    slack = config.cut_off_slack * height
    if bool((moving < -slack).any()) or bool((moving > torch.tensor([size[1], size[0]]) + slack).any()):
        raise UnusableSource("an eye or the mouth lies outside the picture; use a portrait that shows the whole face")


def rest_face(landmarks: Tensor, config: MeshConfig) -> RestFace:
    """Mesh, head axes and weights of a face. landmarks: (478, 3), region pixels."""
    points = landmarks.double()
    axes = geometry.head_axes(points)
    width, height = face_size(points)
    face = points[: topology.FACE_POINTS]
    support = _visible_support(face)
    vertices, scales = _add_rings(face, face[support[list(topology.OVAL)]], axes, config)
    texture = vertices[:, :2].clone()
    hidden = support != torch.arange(len(face))
    texture[: len(face)][hidden] = torch.lerp(face[support[hidden], :2], face[:, :2].mean(0), config.hidden_inset)
    below = (vertices - points[topology.CHIN]) @ axes[:, 1] / height  # face heights under the chin
    reach = 1 - geometry.smoothstep(scales, 2.6, 4.2)
    head = (1 - geometry.smoothstep(below, 0.0, config.neck_length)) * reach
    head[: topology.FACE_POINTS] = 1
    head = _relax(head, rings=len(config.ring_scales))
    follow = (1 - head) * reach * config.torso_follow
    return RestFace(
        vertices=vertices.float(),
        texture=texture.float(),
        irises=points[list(topology.IRISES)].float(),
        axes=axes.float(),
        centre=points[list(topology.STABLE)].mean(0).float(),
        width=width,
        height=height,
        head_weight=head.float(),
        follow_weight=follow.float(),
        ring_follow=(1 - geometry.smoothstep(scales[topology.FACE_POINTS :], 1.0, 1.75)).float(),
    )


def with_rings(landmarks: Tensor, config: MeshConfig) -> Tensor:
    """Vertices (V, 3) of a face (478, 3) that moves its own pixels: its points, then the rings around them."""
    points = landmarks.double()
    face = points[: topology.FACE_POINTS]
    return _add_rings(face, face[list(topology.OVAL)], geometry.head_axes(points), config)[0].float()


def _visible_support(face: Tensor) -> Tensor:
    """int64 (468,): each point itself where the still shows it, else the nearest point that is shown. face: (468, 3)."""
    triangles = topology.face_triangles()
    corners = face[triangles][..., :2]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = second[:, 0] * first[:, 1] - second[:, 1] * first[:, 0]  # positive where the surface faces the camera
    facing = torch.zeros(len(face), dtype=face.dtype)
    facing.index_add_(0, triangles.flatten(), area.repeat_interleave(3))
    hidden = facing < 0
    distance = torch.cdist(face, face)
    distance[:, hidden] = torch.inf
    return torch.where(hidden, distance.argmin(1), torch.arange(len(face)))


def far_cheek(rest: RestFace, person: Tensor) -> Tensor | None:
    """(V, 2) where a face that turns its far side into view takes its colours: skin, not background, eyes or lips.

    Trackers place the far temple beside the painted one, on the background. person: (H, W) share of each pixel. None where
    the still is seen from the front, and hides nothing, or the person was not cut out.
    """
    if abs(float(rest.axes[2, 0])) < TURNED_STILL or float(person.min()) > 0.9:
        return None
    inner = torch.from_numpy(ndimage.distance_transform_edt((person > 0.9).numpy())) > WITHIN * rest.height
    skin = inner & ~_drawn_over(rest, person)
    if not bool(skin.any()):
        return None
    nearest = torch.from_numpy(ndimage.distance_transform_edt((~skin).numpy(), return_distances=False, return_indices=True))
    x, y = (rest.texture[: topology.FACE_POINTS, i].long().clamp(0, person.shape[1 - i] - 1) for i in range(2))
    hidden = (rest.texture - rest.vertices[:, :2])[: topology.FACE_POINTS].abs().amax(1) > 0.01
    beside = ~inner[y, x]
    beside[list({*topology.eye_outline(0), *topology.eye_outline(1), *topology.mouth_outline()})] = False
    texture = rest.texture.clone()
    moved = nearest[:, y, x].flip(0).T + 0.5
    texture[: topology.FACE_POINTS] = torch.where((hidden | beside)[:, None], moved, texture[: topology.FACE_POINTS])
    return texture


def _drawn_over(rest: RestFace, person: Tensor) -> Tensor:
    """bool (H, W): eyes and lips, and a little around them."""
    over = torch.zeros(person.shape, dtype=torch.bool)
    for outline in (topology.eye_outline(0), topology.eye_outline(1), topology.OUTER_UPPER + topology.OUTER_LOWER):
        points = rest.vertices[list(outline), :2]
        around = raster.window_around(points, 1.4 * WITHIN * rest.height, (person.shape[0], person.shape[1]))
        over[around.rows, around.columns] = True
    return over


def _add_rings(face: Tensor, outline: Tensor, axes: Tensor, config: MeshConfig) -> tuple[Tensor, Tensor]:
    """Vertices (V, 3) with rings around the visible outline (36, 3), and each vertex's ring scale (V,) (1 on the face)."""
    middle = outline.mean(0)
    ears = face[[topology.CHEEK_RIGHT, topology.CHEEK_LEFT]]
    vertices, scales = [face], [torch.ones(len(face), dtype=face.dtype)]
    ear_middle = ears.mean(0)
    across = (ears[1] - ears[0]) / (ears[1] - ears[0]).norm()
    normal = torch.linalg.cross(across, axes[:, 1])
    upwards = (middle - outline) @ axes[:, 1] / (face[topology.CHIN] - face[topology.FOREHEAD]).norm()
    sides, hair = config.ring_depth_end
    depth_end = sides + (hair - sides) * geometry.smoothstep(upwards, 0.0, 0.4)  # (36,)
    for scale in config.ring_scales:
        ring = middle + (outline - middle) * scale
        # The plane through both ears, parallel to the face.
        plane = ear_middle[2] - ((ring - ear_middle)[:, :2] @ normal[:2]) / normal[2].clamp(min=0.35)
        share = geometry.smoothstep((scale - 1) / (depth_end - 1), 0.0, 1.0)
        ring[:, 2] = torch.lerp(outline[:, 2], plane, share)
        vertices.append(ring)
        scales.append(torch.full((len(ring),), scale, dtype=face.dtype))
    return torch.cat(vertices), torch.cat(scales)


def _relax(weight: Tensor, rings: int) -> Tensor:
    """Smooth the rings' weights along and across the rings; the face keeps its own."""
    grid = weight[topology.FACE_POINTS :].reshape(1, 1, rings, -1)
    start = torch.ones_like(grid[:, :, :1])
    for _ in range(3):
        padded = torch.cat([start, grid, grid[:, :, -1:]], 2)
        across = (padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]) / 4
        along = F.pad(across, (1, 1, 0, 0), mode="circular")
        grid = (along[..., :-2] + 2 * along[..., 1:-1] + along[..., 2:]) / 4
    return torch.cat([weight[: topology.FACE_POINTS], grid.flatten()])
