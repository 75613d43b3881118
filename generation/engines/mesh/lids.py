"""Eyes drawn larger than a tracker sees them, as in cartoons: what of them lies under the lower lid, and how to hide it."""

from __future__ import annotations

import torch
from scipy import ndimage
from torch import Tensor

from generation.engines.mesh.fill import box_blur, grown, pull_push
from generation.engines.mesh.source import RestFace

REACH = 0.05  # face heights below the tracked margin where an eye may go on
LEAST = 0.003  # face heights it must go on for: less is nothing that shows
CONTRAST = 0.08  # of warmth between eye and skin, under which the two cannot be told apart


def lid_cover(patch: Tensor, positions: Tensor, distance: Tensor, margin: Tensor, rest: RestFace) -> Tensor | None:
    """(4, h, w) skin and its share, to be laid over the eye below the lower lid when it closes; None where lids fit.

    patch: (3, h, w) the picture around the eye, positions: (h, w, 2) of its pixels, distance: (h, w) to the outline, negative
    inside, margin: (9, 2) the lower lid from corner to corner. All in region pixels.
    """
    reach = REACH * rest.height
    below = _below(positions, margin, rest)
    inside = distance < -1.0
    around = below & (distance > reach) & (distance < 1.6 * reach)
    if not (bool(inside.any()) and bool(around.any())):
        return None
    warmth = _warmth(patch)
    eye, skin = warmth[inside].median(), warmth[around].median()
    if float(skin - eye) < CONTRAST:
        return None
    eyelike = (warmth < torch.lerp(eye, skin, 0.55)) & (distance < reach)
    near = eyelike & below & (distance >= -1.0)
    parts, _ = ndimage.label((near | inside).numpy())
    kept = near & torch.from_numpy(parts == parts[inside.numpy()].max())
    width = float((margin[-1] - margin[0]).norm())
    if float((kept & (distance > 0)).sum()) < LEAST * rest.height * width:
        return None
    rim = max(1, round(0.02 * rest.height))
    hidden = grown(kept, rim) > 0
    bare = pull_push(patch, 1 - (grown(hidden | eyelike | (distance < 0), rim) > 0).float())
    share = box_blur(hidden.float()[None], max(1, rim // 2))
    return torch.cat([bare, share])


def _below(positions: Tensor, margin: Tensor, rest: RestFace) -> Tensor:
    """bool (h, w): positions between the corners or a little beside, under the line through them."""
    axis = margin[-1] - margin[0]
    along = ((positions - margin[0]) @ axis) / axis.square().sum()
    down = (positions - margin[0] - along[..., None] * axis) @ rest.axes[:2, 1]
    return (along > -0.15) & (along < 1.15) & (down > -0.015 * rest.height)


def _warmth(patch: Tensor) -> Tensor:
    """(h, w): how much more red than blue there is in each colour of (3, h, w): skin is warmer than eyes in any light."""
    return (patch[0] - patch[2]) / patch.sum(0).clamp_min(0.05)
