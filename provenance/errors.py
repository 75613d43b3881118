"""Errors of `provenance`. Every message ends by saying what to do."""

from __future__ import annotations

from media.errors import CountersignError


class ProvenanceError(CountersignError):
    """Root of the errors of `provenance`."""

    code = "provenance_error"


class PkiError(ProvenanceError):
    """The signing certificate or its key is missing, unreadable or not fit for signing claims."""

    code = "pki_error"


class SigningFailed(ProvenanceError):
    """No signed file was produced. The destination is untouched."""

    code = "signing_failed"
    permanent = False


class ReadBackFailed(ProvenanceError):
    """A file was signed, but reading it back did not give what was signed. The destination is untouched."""

    code = "signed_file_invalid"


class RecordSealed(ProvenanceError):
    """A record is sealed once; a second sealing is refused."""

    code = "record_sealed"


class RecordMissing(ProvenanceError):
    """No record was reserved under this id."""

    code = "record_missing"


class FingerprintUnreadable(ProvenanceError):
    """Stored fingerprint bytes that no version of the format explains."""

    code = "fingerprint_unreadable"


class ExaminationTooLong(ProvenanceError):
    """Looking at a file took longer than it may."""

    code = "examination_too_long"


class WatermarkKeyMissing(ProvenanceError):
    """The master key of the watermark is absent or too short."""

    code = "watermark_key_missing"


class WatermarkKeyUnknown(ProvenanceError):
    """No watermark key has this name."""

    code = "watermark_key_unknown"


class WatermarkKeyCompromised(ProvenanceError):
    """A key that somebody else may hold marks nothing any more."""

    code = "watermark_key_compromised"
