"""What is asked of a clip at the moment it leaves, whichever road it takes: from sealing, or by a reviewer's yes."""

from __future__ import annotations

from generation import motion_templates
from generation.models import Job
from generation.release import require_releasable
from provenance.keys import require_uncompromised
from provenance.models import Record


def require_may_leave(job: Job, record: Record) -> None:
    """Ask for consents, templates and the key of the mark, in this order, and hold their rows until the transaction ends.

    Whoever releases moves the job, seals the record and writes the audit log after it: who locks otherwise may wait for one that
    waits for it. Raises consent's ConsentRefused, RefusedByRule, ArtefactChanged, or provenance's WatermarkKeyCompromised and
    WatermarkKeyUnknown.
    """
    require_releasable(job)
    motion_templates.require_all_usable(job)
    require_uncompromised(record, lock=True)
