"""Errors of `generation`: each has a code, says whether it is permanent, and tells what to do."""

from __future__ import annotations

from media.errors import CountersignError


class GenerationError(CountersignError):
    """Root of the errors of `generation`."""

    code = "generation_error"


class InvalidRequest(GenerationError):
    """A request that names something unknown or out of range."""

    code = "invalid_request"


class NoMotionTemplate(GenerationError):
    """A file that is no motion template, or not one that this platform signed."""

    code = "bad_input"


class IdempotencyConflict(GenerationError):
    """The same idempotency key came with another request."""

    code = "idempotency_conflict"


class TooManyJobs(GenerationError):
    """The studio has as many unfinished jobs as it may."""

    code = "too_many_jobs"
    permanent = False


class IllegalMove(GenerationError):
    """A transition that `states` does not allow, or that another actor made first."""

    code = "illegal_move"


class LeaseLost(GenerationError):
    """The worker no longer owns the job: cancelled, withdrawn, or taken over after its lease ran out."""

    code = "lease_lost"


class ArtefactChanged(GenerationError):
    """A file of the job is not the one that was decided on or rendered."""

    code = "artefact_changed"


class WeakWatermark(GenerationError):
    """The watermark could not be read back with enough margin, after the stronger render too."""

    code = "weak_watermark"


class SignerOnly(GenerationError):
    """The sealing stage ran in a process that is not the signer."""

    code = "signer_only"
    permanent = False


class RefusedByRule(GenerationError):
    """A rule outside the consent gate said no: licence of the engine, screening, purpose."""

    code = "refused"

    def __init__(self, message: str, *, code: str, face: str | None = None) -> None:
        super().__init__(message)
        self.reason = {"code": code, "message": message, "face": face}
