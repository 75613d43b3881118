"""What a studio should know of a job that goes on all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consent.policy import LEAD_DRIVER, Decision
from consent.selectors import consents_by_id
from generation.casting import Pair
from generation.cleared import output_frames, output_rate
from generation.engines.base import FaceTrack
from generation.engines.tracks import bridged_stretches
from generation.models import Asset, Job

TELLING_S = 0.25  # a smaller difference of two lengths is seen by nobody
Warnings = list[dict[str, Any]]


def warnings_of(job: Job, decision: Decision, cast: Sequence[Pair], tracks: Mapping[str, FaceTrack]) -> Warnings:
    """All warnings of a job whose inputs were looked at. cast: who moves whom; tracks: of the driving faces, by their names."""
    clip_s = float(output_frames(job) / output_rate(job))
    return [*sound_left_out(job.driving, decision), *unequal_lengths(job, clip_s, cast, tracks), *bridged(tracks)]


def sound_left_out(lead: Asset, decision: Decision) -> Warnings:
    """A warning when the lead performance has sound that the consents do not let us carry, naming the first face in the way."""
    if decision.voice or not lead.facts.get("has_audio"):
        return []
    heard = [face for face in decision.faces if face.face.partition(":")[0] == LEAD_DRIVER]
    consents = consents_by_id(ids=[face.consent_id for face in heard if face.consent_id])
    silent = [face.face for face in heard if face.consent_id not in consents or not consents[face.consent_id].voice]
    message = (
        f"The clip will have no sound: the consent for {' and '.join(silent)} does not cover the voice. "
        "Ask for a consent that does (on the command line: enroll ... --voice), and submit again."
    )
    return [_warning("sound_left_out", silent[0] if silent else None, message)]


def unequal_lengths(job: Job, clip_s: float, cast: Sequence[Pair], tracks: Mapping[str, FaceTrack]) -> Warnings:
    """A warning for each driving face that ends before the clip or goes on after it, and for a source that does."""
    found, filmed = [], job.portrait.kind == Asset.Kind.VIDEO
    leader = "the portrait video" if filmed else cast[0][1].partition(":")[0] if cast else ""
    for face, driver in cast:
        own_s = float(tracks[driver].frame_count / tracks[driver].frame_rate)
        lengths = f"{driver} lasts {own_s:.1f} s and the clip {clip_s:.1f} s"
        if own_s < clip_s - TELLING_S:
            message = (
                f"{lengths}: from {own_s:.1f} s on, {face} holds its last pose. Use a longer performance, or cut the others."
            )
            found.append(_warning("performance_ends_early", driver, message, own_s, clip_s))
        elif own_s > clip_s + TELLING_S:
            message = f"{lengths}, as long as {leader}: what follows in {driver} is left out. {_to_keep_it(filmed)}"
            found.append(_warning("performance_cut", driver, message, clip_s, own_s))
    return [*found, *_source_cut(job, clip_s)]


def _to_keep_it(filmed: bool) -> str:
    return "Use a longer portrait video to see it." if filmed else "To see all of it, give it first: the first --driving leads."


def _source_cut(job: Job, clip_s: float) -> Warnings:
    if job.portrait.kind != Asset.Kind.VIDEO:
        return []
    own_s = float(job.portrait.facts["frames"] / output_rate(job))
    if own_s <= clip_s + TELLING_S:
        return []
    message = (
        f"The portrait video lasts {own_s:.1f} s and the clip {clip_s:.1f} s, as long as {LEAD_DRIVER}: its rest is left out."
    )
    return [_warning("portrait_cut", None, f"{message} Use a longer performance to keep it.", clip_s, own_s)]


def bridged(tracks: Mapping[str, FaceTrack]) -> Warnings:
    """A warning for each stretch of a driving face that shows no usable face and was filled in, by time. tracks: by face."""
    found = []
    for face, track in tracks.items():
        for gap in bridged_stretches(track):
            message = (
                f"{face} shows no usable face from {gap.start_s:.2f} to {gap.end_s:.2f} s, so its motion was bridged there; "
                "film that stretch again if it has to be exact."
            )
            found.append(_warning("bridged", face, message, gap.start_s, gap.end_s))
    return sorted(found, key=lambda warning: warning["start_s"])


def _warning(
    code: str, face: str | None, message: str, start_s: float | None = None, end_s: float | None = None
) -> dict[str, Any]:
    """start_s, end_s: the stretch of the clip, or of the file that is longer, that it is about, in seconds."""
    stretch = {} if start_s is None or end_s is None else {"start_s": round(start_s, 3), "end_s": round(end_s, 3)}
    return {"code": code, "face": face, **stretch, "message": message}
