"""The first half of CLEAR: each upload becomes the exact pixels or tracks that will be rendered, once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from django.conf import settings

from generation import motion_templates, storage
from generation.casting import SOURCE
from generation.errors import NoMotionTemplate
from generation.models import Asset
from media.digests import file_sha256
from media.errors import BadInput
from media.video import normalise_still, normalise_video

Normalised = tuple[Path, str, dict[str, Any]]  # where it lies, its SHA-256, and the facts of the asset


def normalise_input(name: str, asset: Asset) -> None:
    """Normalise one input of a job. Raises BadInput or NoMotionTemplate, saying which file it is about."""
    side = "Portrait" if name == SOURCE else "Performance"
    try:
        normalise(asset)
    except BadInput as problem:
        raise BadInput(f"{side}: {problem.message}") from problem
    except NoMotionTemplate as problem:
        raise NoMotionTemplate(f"{side}: {problem.message}") from problem


def normalise(asset: Asset) -> None:
    """Normalise an asset once. A second job finds the file there, with its digest checked."""
    if asset.normalised_sha256:
        known = storage.resolve(asset.normalised_path)
        if known.is_file() and file_sha256(known) == asset.normalised_sha256:
            return
    path, digest, facts = NORMALISE[asset.kind](asset, storage.resolve(asset.upload_path))
    asset.normalised_path, asset.normalised_sha256, asset.facts = storage.relative(path), digest, facts
    asset.save(update_fields=["normalised_path", "normalised_sha256", "facts"])


def _still(asset: Asset, upload: Path) -> Normalised:
    still = normalise_still(upload, storage.normalised_file(asset.pk, ".png"), limits=settings.MEDIA_LIMITS)
    facts: dict[str, Any] = {"width": still.width, "height": still.height, "notes": list(still.notes)}
    if still.under_alpha_path:
        facts["under_alpha"] = storage.relative(still.under_alpha_path)
    return still.path, still.sha256, facts


def _video(asset: Asset, upload: Path) -> Normalised:
    video = normalise_video(upload, storage.normalised_file(asset.pk, ".mp4"), limits=settings.MEDIA_LIMITS)
    facts = {
        "width": video.width,
        "height": video.height,
        "frame_rate": str(video.frame_rate),
        "frames": video.frame_count,
        "seconds": video.duration_s,
        "has_audio": video.has_audio,
        "video_streams": video.video_streams,
        "notes": list(video.notes),
    }
    return video.path, video.sha256, facts


def _template(asset: Asset, upload: Path) -> Normalised:
    """A template has one form; what is kept is the file that was read, not one that could have changed since."""
    path = storage.normalised_file(asset.pk, ".motion")
    shutil.copyfile(upload, path)
    motion = motion_templates.read(path).facts
    facts = {
        "width": motion.width,
        "height": motion.height,
        "frame_rate": str(motion.frame_rate),
        "frames": motion.frames,
        "seconds": float(motion.frames / motion.frame_rate),
        "has_audio": False,
        "template": str(motion.template),
    }
    return path, file_sha256(path), facts


NORMALISE = {Asset.Kind.STILL.value: _still, Asset.Kind.VIDEO.value: _video, Asset.Kind.MOTION.value: _template}
