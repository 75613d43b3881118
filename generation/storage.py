"""Where the files of a job lie, below `settings.STORE_DIR`. Folders are private to the service's user."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from django.conf import settings

from generation.states import Stage


def store_root() -> Path:
    """The folder of the object store."""
    return Path(settings.STORE_DIR)


def resolve(stored_path: str) -> Path:
    """The file behind a path kept in a row. Raises ValueError for a path that leaves the store."""
    root = store_root().resolve()
    path = (root / stored_path).resolve()
    if not path.is_relative_to(root):
        raise ValueError("a stored path must stay inside the store")
    return path


def relative(path: Path) -> str:
    """The form of `path` that rows keep."""
    return str(path.resolve().relative_to(store_root().resolve()))


def _folder(*parts: str) -> Path:
    folder = store_root().joinpath(*parts)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def upload_file(studio_id: uuid.UUID, asset_id: uuid.UUID) -> Path:
    """Where an upload is kept as it came."""
    return _folder("uploads", str(studio_id)) / str(asset_id)


def normalised_file(asset_id: uuid.UUID, suffix: str) -> Path:
    """Where the normalised form of an asset is kept."""
    return _folder("normalised") / f"{asset_id}{suffix}"


def motion_file(job_id: uuid.UUID, attempt: int) -> Path:
    """Where the cleared face tracks of a job are kept. Landmarks only, never embeddings."""
    return _folder("motion", str(job_id)) / f"{attempt}.safetensors"


def work_folder(job_id: uuid.UUID, stage: Stage, attempt: int) -> Path:
    """The folder that one attempt at one stage works in; nobody else writes there."""
    return _folder("work", str(job_id), f"{stage}-{attempt}")


def clear_other_attempts(job_id: uuid.UUID, stage: Stage, attempt: int) -> None:
    """Delete what earlier, dead attempts at this stage left behind."""
    for folder in store_root().joinpath("work", str(job_id)).glob(f"{stage}-*"):
        if folder.name != f"{stage}-{attempt}":
            shutil.rmtree(folder, ignore_errors=True)


def clear_work(job_id: uuid.UUID) -> None:
    """Delete the working files of a job that needs no worker any more. Its motion stays, for previews and templates."""
    shutil.rmtree(store_root() / "work" / str(job_id), ignore_errors=True)


def clear_motion(job_id: uuid.UUID) -> None:
    """Delete the face tracks of a job that ended without a clip, or whose clip was withdrawn."""
    shutil.rmtree(store_root() / "motion" / str(job_id), ignore_errors=True)


def jobs_with_work() -> list[uuid.UUID]:
    """The jobs that have working files on disk."""
    return [uuid.UUID(folder.name) for folder in store_root().joinpath("work").glob("*-*-*-*-*")]


def output_file(job_id: uuid.UUID, attempt: int) -> Path:
    """Where the sealed output of an attempt is put before its row points at it."""
    return _folder("outputs", str(job_id)) / f"{attempt}.mp4"


def clear_other_outputs(job_id: uuid.UUID, keep: Path | None) -> None:
    """Delete sealed files that no row points at: left by an attempt that died between signing and commit."""
    for path in store_root().joinpath("outputs", str(job_id)).glob("*"):
        if keep is None or path.resolve() != keep.resolve():
            path.unlink(missing_ok=True)


def clear_job(job_id: uuid.UUID) -> None:
    """Delete every file made for a job: working files and outputs. Its inputs stay with their assets."""
    clear_motion(job_id)  # the sweeper finds a job by its work folder, so that goes after
    clear_work(job_id)
    clear_other_outputs(job_id, keep=None)
