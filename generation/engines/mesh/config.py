"""Every number the mesh engine runs on, each with the reason it has that value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """Lengths are fractions of the face's height (forehead to chin) unless a field says otherwise."""

    # source
    min_face_px: float = 64.0  # under this the eyes are a handful of pixels: nothing to move
    max_source_yaw_deg: float = 60.0  # past it the far eye and cheek are not in the picture
    cut_off_slack: float = 0.02  # eyes and mouth may reach this far over the picture's edge, as far as trackers err
    crop_heights: float = 3.0  # face heights per side of the work region: hair, neck and shoulders fall inside
    portrait_heights: float = 2.5  # face heights per side of a cropped output: head and shoulders
    portrait_drop: float = 0.16  # of half that side: the face stands above the middle
    map_face_points: int = 90  # of the position map from forehead to chin; the warp is smooth between
    fold_jump: float = 1.2  # a step this large between neighbours is a fold of the mesh, in map points
    ring_scales: tuple[float, ...] = (1.0, 1.06, 1.16, 1.3, 1.5, 1.75, 2.05, 2.4, 2.9, 3.6, 4.4)  # dense where hair and jaw bend
    hidden_inset: float = 0.04  # a hidden cheek takes its colour this far inside the silhouette, of the way to the middle
    sharp_scale: float = 1.5  # of the oval: face and hair are sampled by cubics, the rest by straight lines
    sharp_face_px: float = 400.0  # of a larger face nobody sees the difference
    # Ring scale at which depth has reached the ear plane, of ears and jaw, and of the hair: a faster ramp cuts the hairline.
    ring_depth_end: tuple[float, float] = (1.4, 1.55)
    fade_frames: int = 3  # a face that a video loses or finds takes this long to stop or start performing
    # motion
    smooth_half_window: int = 3  # Savitzky-Golay over 7 frames: 3 frames of lookahead, no lag
    smooth_order: int = 2  # keeps the height of peaks
    noise_floor: float = 0.003  # face heights; what a filter takes away is noise below it and motion above
    shift_noise: float = 0.001  # face heights, the same for the whole face: its points' mean is far calmer than each of them
    lid_noise: float = 0.0015  # face heights, the same for the gap of the lids
    same_face: float = 0.005  # face heights; a driver's frame this near to the still is the still; other people start at .01
    pose_limit_deg: float = 25.0  # past it the ears and the far cheek tear
    pose_knee: float = 0.7  # share of a limit that passes unchanged
    total_yaw_limit_deg: float = 38.0  # still and motion together
    shift_limit: float = 0.8  # heads leave the region past it
    shift_knee: float = 0.75  # share of it that passes unchanged
    reveal_from_deg: float = 10.0  # a still turned further hides a cheek that turning back would show
    reveal_share: float = 0.3  # degrees of the limit lost for each degree beyond
    zoom_limit: float = 0.16  # natural log of the scale
    torso_follow: float = 0.5  # share of the body's shift that shoulders in the picture take
    body_rise: float = 0.15  # share of it upwards: under the lower edge of a portrait there is no body to show
    neck_pivot: tuple[float, float, float] = (0.0, 0.75, 0.35)  # where heads turn, right, down and inward from the face's centre
    neck_length: float = 0.85  # rotation fades from the chin over this length
    residual_depth: float = 0.5  # landmark depth is the noisiest axis
    mouth_cap: float = 0.42  # a shout on a small-mouthed still folds past it
    brow_cap: float = 0.12
    cheek_cap: float = 0.13
    # eyes
    # What a tracker reports of eyes drawn this far open, both over the still's: small changes are under-reported.
    lid_curve: tuple[tuple[float, float], ...] = (
        (0.22, 0.0), (0.32, 0.1), (0.52, 0.2), (0.65, 0.3), (0.77, 0.5), (0.865, 0.7), (0.955, 0.9),
        (1.0, 1.0), (1.08, 1.14), (1.2, 1.36), (1.4, 1.7), (1.55, 1.85),
    )  # fmt: skip
    lid_widest: float = 1.85  # wider shows more eyeball than can be continued from what the still holds
    lid_asked: float = 0.42  # share that a lid opens further when all of it is asked for
    lid_gaze: tuple[float, float] = (0.1, 0.25)  # lids follow a gaze that is asked up or down by this share
    lid_coupling: float = 0.8  # people blink with both eyes; small differences are noise
    wink_difference: float = 0.35  # ratio difference from which one eye may close alone
    gaze_gain: tuple[float, float] = (1.15, 1.5)  # across and down: trackers under-report where an iris is half hidden
    gaze_limit: float = 0.33  # eye widths; the iris is then half behind the corner
    gaze_limit_vertical: float = 0.15  # eye widths
    lash_strength: float = 0.4  # closed lids show a line of lashes
    upper_lid_share: float = 0.88  # the upper lid does nearly all of a blink
    # mouth
    lip_thickness: tuple[float, float] = (0.65, 1.45)  # of the still's
    closed_gap: float = 0.006  # the tracker's gap between touching lips
    lip_rise: float = 0.5  # of the way from lip to nose; a lip raised further folds into the skin under the nose
    lip_opening_reach: float = 0.17  # drop of the jaw at the widest; more folds a small mouth
    smile_rise: tuple[float, float] = (0.01, 0.04)  # rise of a mouth's corner from which, and up to which, it is a smile
    smile_lift: float = 0.15  # of that rise added: a still's lips stretch where a driver's skin folds
    smile_squint: float = 0.3  # of a smile's closing of the eyes comes from the cheeks that push the lower lids up
    relax_corners: float = 0.8  # share of a smile's extra width and lift that goes when the smile closes
    relax_gap: float = 0.04  # a gap this much wider than the driver's is a whole smile
    lit_gap: float = 0.05  # light reaches the teeth through lips this far apart
    seam_width: float = 0.006  # of the line where lips meet that were parted in the still
    seam_darkness: float = 0.45
    own_lift: float = 0.03  # the still's teeth are continued this far under a lip that rises
    own_until: tuple[float, float] = (1.05, 1.6)  # times the still's gap: past it lips that were just parted show no real teeth
    own_always: tuple[float, float] = (0.03, 0.05)  # gap of a smile whose teeth are kept however far the mouth opens
    teeth_gap: float = 0.02  # a still whose lips part more than this shows its own interior
    # picture
    matte_px: int = 640  # of the longer side: surroundings are judged at this size, pixels at their own
    plate_dilation: float = 0.03  # the matte's soft edge must not print itself on the background
    reveal_reach: float = 0.8  # as far behind the person the background is continued; heads move no further
    territory_blend: float = 0.3  # width of the seam between the regions of two faces
    feather: float = 0.06  # of the region's side
    batch_frames: int = 4  # few, so that memory stays flat
    pose_frames: int = 16  # are posed at once: a pose costs little beside the calls that make it
    batch_pixels: int = 8_000_000  # of all frames of a batch, for the same reason
