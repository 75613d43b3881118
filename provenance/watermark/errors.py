"""Errors of the watermark."""

from __future__ import annotations

from provenance.errors import ProvenanceError


class WatermarkError(ProvenanceError):
    """Root of the errors of the watermark."""

    code = "watermark_error"


class PictureTooSmall(WatermarkError):
    """A picture with too few pixels to carry the mark."""

    code = "picture_too_small_to_mark"

    def __init__(self, width: int, height: int, smallest: int) -> None:
        super().__init__(
            f"A picture of {width}x{height} pixels cannot carry the watermark; render it with at least {smallest} pixels a side."
        )


class FrameSizeChanged(WatermarkError):
    """A stream whose pictures change size on the way."""

    code = "frame_size_changed"

    def __init__(self) -> None:
        super().__init__("The pictures of this clip change size on the way; normalise it to one size first.")
