"""Every number the mesh engine runs on, each with the reason it has that value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """Lengths are fractions of the face's height (forehead to chin) unless a field says otherwise."""

    # source
    min_face_px: float = 64.0  # under this the eyes are a handful of pixels: nothing to move
    max_source_yaw_deg: float = 60.0  # past it the far eye and cheek are not in the picture
    crop_heights: float = 3.0  # face heights per side of the work region: hair, neck and shoulders fall inside
    max_region_px: int = 1024  # a larger region costs time in square and shows no more on a screen
    max_raster_px: int = 512  # the map is smooth inside triangles; half the resolution is not seen
    seam_gap_px: float = 4.0  # lips closer than this are a seam and no fold, in map pixels
    fold_jump: float = 1.2  # a step this large between neighbours is a fold of the mesh, in map pixels
    ring_scales: tuple[float, ...] = (1.0, 1.06, 1.16, 1.3, 1.5, 1.75, 2.05, 2.4, 2.9, 3.6, 4.4)  # dense where hair and jaw bend
    hidden_inset: float = 0.04  # a hidden cheek takes its colour this far inside the silhouette, of the way to the middle
    ring_depth_end: float = 1.9  # ring scale at which depth has reached the ear plane; a faster ramp tears the hairline
    # motion
    smooth_half_window: int = 3  # Savitzky-Golay over 7 frames: 3 frames of lookahead, no lag
    smooth_order: int = 2  # keeps the height of peaks
    reference_search_s: float = 4.0  # a neutral moment nearly always comes early
    pose_limit_deg: float = 25.0  # past it the ears and the far cheek tear
    pose_knee: float = 0.6  # share of a limit that passes unchanged
    total_yaw_limit_deg: float = 38.0  # still and motion together
    shift_limit: float = 0.45  # heads leave the region past it
    reveal_from_deg: float = 10.0  # a still turned further hides a cheek that turning back would show
    reveal_share: float = 0.6  # degrees of the limit lost for each degree beyond
    zoom_limit: float = 0.16  # natural log of the scale
    torso_follow: float = 0.35  # share of the head's shift that shoulders take
    neck_length: float = 0.85  # rotation fades from the chin over this length
    residual_depth: float = 0.5  # landmark depth is the noisiest axis
    mouth_cap: float = 0.30  # a shout on a small-mouthed still folds past it
    brow_cap: float = 0.09
    cheek_cap: float = 0.10
    # eyes
    lid_knee: float = 0.80  # aperture ratio above which lids follow the driver exactly
    lid_closed: float = 0.32  # trackers report .1-.3 for closed eyes and .4 for a downcast look
    lid_widest: float = 1.18  # wider shows eyeball that no pixel of the still holds
    lid_coupling: float = 0.8  # people blink with both eyes; small differences are noise
    wink_difference: float = 0.35  # ratio difference from which one eye may close alone
    gaze_limit: float = 0.13  # eye widths
    gaze_limit_vertical: float = 0.07  # eye widths
    lash_strength: float = 0.4  # closed lids show a line of lashes
    upper_lid_share: float = 0.88  # the upper lid does nearly all of a blink
    # mouth
    lip_thickness: tuple[float, float] = (0.65, 1.45)  # of the still's
    closed_gap: float = 0.006  # the tracker's gap between touching lips
    relax_corners: float = 0.8  # share of a smile's extra width and lift that goes when the smile closes
    relax_gap: float = 0.04  # a gap this much wider than the driver's is a whole smile
    lit_gap: float = 0.05  # light reaches the teeth through lips this far apart
    teeth_gap: float = 0.02  # a still whose lips part more than this shows its own interior
    # picture
    plate_dilation: float = 0.03  # the matte's soft edge must not print itself on the background
    territory_blend: float = 0.3  # width of the seam between the regions of two faces
    feather: float = 0.06  # of the region's side
    batch_frames: int = 4  # few, so that memory stays flat at any size
