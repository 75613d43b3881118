"""Stills cut from released clips, to stand for them elsewhere: marked for themselves, and asked for consent like a download."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import torch
from PIL import Image

from generation.errors import ArtefactChanged, InvalidRequest, WeakWatermark
from generation.models import Job
from generation.selectors import released_file
from media.video import read_frame
from provenance.selectors import record_by_job
from provenance.services import still_key_of
from provenance.watermark.stills import mark_still, read_still_key

JPEG_QUALITY = 92
FROM_THE_START = 0.25  # share of the clip: the first frame is often a blink or a fade


def poster(job: Job, *, at_s: float | None = None) -> bytes:
    """A JPEG of a released clip at a moment, a quarter into it by default, with the number that leads back to its record.

    Raises InvalidRequest for a moment outside the clip, what `released_file` raises, PictureTooSmall, and WeakWatermark when the
    number cannot be read back from the JPEG.
    """
    path, record = released_file(job), record_by_job(job.pk)
    if record is None:
        raise ArtefactChanged("This clip has no record; submit the job again.")
    number = still_key_of(record)
    marked = mark_still(read_frame(path, _frame_at(job, at_s)), number)
    out = io.BytesIO()
    # full chroma resolution: the mark lies in blue difference
    Image.fromarray(marked.numpy()).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    if read_still_key(torch.from_numpy(np.array(Image.open(out)))) != number:
        raise WeakWatermark("The mark does not hold in this frame; choose another moment.")
    released_file(Job.objects.select_related("studio").get(pk=job.pk))  # a withdrawal while the frame was made counts
    return out.getvalue()


def _frame_at(job: Job, at_s: float | None) -> int:
    frames, rate = int(job.render_facts["frames"]), Fraction(job.render_facts["frame_rate"])
    length_s = float(frames / rate)
    if at_s is None:
        return int(FROM_THE_START * frames)
    if not 0 <= at_s < length_s:  # nan neither
        raise InvalidRequest(f"The clip lasts {length_s:.2f} s; choose a moment inside it.")
    return min(int(at_s * rate), frames - 1)
