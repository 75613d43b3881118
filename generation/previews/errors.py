"""Errors of previews."""

from __future__ import annotations

from generation.errors import GenerationError


class NotPreviewable(GenerationError):
    """The job is not cleared, or its clip was withdrawn."""

    code = "not_previewable"


class PreviewQuotaUsed(GenerationError):
    """The studio has had all its previews of today."""

    code = "too_many_previews"
    permanent = False

    said = "This studio has had its {limit} previews of today; go on tomorrow (UTC), or make the clip."

    def __init__(self, limit: int, retry_after_s: int) -> None:
        super().__init__(self.said.format(limit=limit))
        self.retry_after_s = retry_after_s


class PreviewPairsUsed(PreviewQuotaUsed):
    """The studio has previewed as many pairs of portrait and performance as it may today."""

    said = "This studio has previewed {limit} pairs of portrait and performance today; go on with one of them, or tomorrow (UTC)."


class PreviewRefused(GenerationError):
    """The engine cannot show this: the reason is in the inputs or the options."""

    code = "bad_input"


class PreviewBusy(GenerationError):
    """Others' previews come first."""

    code = "previews_busy"
    permanent = False

    def __init__(self) -> None:
        super().__init__("Many previews are being made just now; try again in a few seconds.")


class PreviewFailed(GenerationError):
    """The engine broke or took too long over one frame."""

    code = "preview_failed"
    permanent = False

    def __init__(self) -> None:
        super().__init__("This preview could not be made in time; try again, or make the clip.")
