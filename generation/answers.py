"""How a job reads to those who asked for it: one shape for the command line and the API."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from generation.models import Job
from generation.selectors import reasons_of
from generation.states import Status

FACE_NAME = re.compile(r"(portrait|driver[2-8]?):[0-9]{1,3}")
IDEMPOTENCY_KEY_CHARACTERS = 128  # longer ones are refused: cut off, two keys could read alike


def job_answer(job: Job) -> dict[str, Any]:
    """The public fields of a job; `output` is left to the caller, who knows how it hands files over."""
    facts = job.render_facts
    was_released = job.status in (Status.RELEASED, Status.WITHDRAWN)
    return {
        "job": str(job.pk),
        "status": job.status,
        "reasons": reasons_of(job),
        "consents": job.named_consents,
        "output": None,
        "watermark_id": job.watermark_id if was_released else None,
        "manifest_id": job.manifest_id if was_released else None,
        "engine": job.engine,
        "frames": facts.get("frames"),
        "fps": round(float(Fraction(facts["frame_rate"])), 6) if "frame_rate" in facts else None,
        "frame_rate": facts.get("frame_rate"),
        "seconds": facts.get("seconds"),
        "cast": [{"face": face, "driver": driver} for face, driver in facts.get("cast", [])],
        "warnings": facts.get("warnings", []),
        "bridged": [[found["start_s"], found["end_s"]] for found in facts.get("warnings", []) if found["code"] == "bridged"],
        "waits_for_start": job.waits_for_start,
        "frames_done": job.frames_done,
        "frames_total": job.frames_total,
        "created": job.created_at.isoformat(),
    }
