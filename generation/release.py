"""The last question before a file goes anywhere: do its consents still stand, and is it still the file that was sealed?"""

from __future__ import annotations

from django.db import connection

from consent import gate
from consent.policy import Assurance, Decision
from consent.selectors import consents_of_decision
from generation import storage
from generation.errors import ArtefactChanged
from generation.models import Job
from media.digests import file_sha256


def require_releasable(job: Job) -> Decision:
    """Ask the consent gate again; inside a transaction the consents stay locked until it ends, so that a withdrawal either comes
    first and is seen, or waits.

    Returns today's decision. Raises consent's ConsentRefused when any of them ended, or ArtefactChanged without a decision.
    """
    if not job.decision:
        raise ArtefactChanged("This job carries no decision of the consent gate; submit it again.")
    return gate.require_still_standing(decision_snapshot=job.decision, lock=connection.in_atomic_block)


def rests_on_attestation(job: Job) -> bool:
    """Whether any consent behind the job is only attested by an operator. A job without consents counts as such."""
    consents = consents_of_decision(decision_snapshot=job.decision or {})
    return not consents or any(consent.assurance == Assurance.ATTESTED for consent in consents)


def require_unchanged(stored_path: str, sha256: str, what: str) -> None:
    """Raise ArtefactChanged unless the stored file still has the digest that was decided on."""
    path = storage.resolve(stored_path)
    if not stored_path or not sha256 or not path.is_file() or file_sha256(path) != sha256:
        raise ArtefactChanged(f"The {what} is not the file that was decided on; submit the job again.")
