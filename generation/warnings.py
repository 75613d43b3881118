"""What a studio should know of a job that goes on all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from generation.engines.base import FaceTrack
from generation.engines.tracks import bridged_stretches


def bridged(tracks: Mapping[str, FaceTrack]) -> list[dict[str, Any]]:
    """A warning for each stretch of a driving face that shows no usable face and was filled in, by time. tracks: by face."""
    found = []
    for face, track in tracks.items():
        for gap in bridged_stretches(track):
            start_s, end_s = round(gap.start_s, 3), round(gap.end_s, 3)
            message = (
                f"{face} shows no usable face from {start_s:.2f} to {end_s:.2f} s, so its motion was bridged there; "
                "film that stretch again if it has to be exact."
            )
            found.append({"code": "bridged", "face": face, "start_s": start_s, "end_s": end_s, "message": message})
    return sorted(found, key=lambda warning: warning["start_s"])
