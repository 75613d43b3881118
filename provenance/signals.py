"""What the layers of an examined file say, as plain values: the inputs of `provenance.verify`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ManifestState(StrEnum):
    """What a reader says of a file's manifest, decided on the validator's state alone (C2PA 2.4, section "Validation")."""

    NONE = "none"
    UNREADABLE = "unreadable"  # a container the reader does not know, or a broken one
    INVALID = "invalid"
    VALID = "valid"  # well-formed and intact, by a signer outside our trust anchors
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class SoftBinding:
    """One soft binding asserted by a manifest. value: base64. spans_ms: [start, end) of its blocks, milliseconds."""

    alg: str
    value: str
    spans_ms: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ManifestReading:
    """The active manifest of a file.

    manifest_sha256: SHA-256 (hex) of the CBOR claim, the part the signature covers; None when it cannot be isolated.
    signature_holds: the claim signature fits the certificate it carries. signed_by_us: that certificate chains to our anchors.
    hard_binding_holds: the bytes of the file are the signed ones. expired: its certificate has ended, no time stamp helps.
    """

    state: ManifestState
    manifest_id: str | None = None
    manifest_sha256: str | None = None
    store_sha256: str | None = None
    signature_holds: bool = False
    signed_by_us: bool = False
    hard_binding_holds: bool = False
    expired: bool = False
    signer_serial: str | None = None
    signer_name: str | None = None
    codes: tuple[str, ...] = ()
    claim_generator: str | None = None
    ingredients: tuple[str, ...] = ()
    soft_bindings: tuple[SoftBinding, ...] = ()
    note: str = ""


class Agreement(StrEnum):
    """How content compares with a record of ours, or with the index of records."""

    AGREES = "agrees"  # with the record pointed to: every second and every region
    IN_PART = "in_part"
    INCONCLUSIVE = "inconclusive"
    CONTRADICTS = "contradicts"  # by a positive measure, never by mere lack of agreement
    STRONG = "strong"  # in the index, nothing pointing there
    WEAK = "weak"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SecondState:
    """One second of the examined file. regions: the numbers (row-major, 4x4) of those that differ."""

    start_s: float
    end_s: float
    agreement: Agreement
    distance: float
    regions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PictureSignal:
    """Fingerprint of the picture against one record. offset_s: where in the record the file starts.

    shown: the edges (top, left, bottom, right) of the file's picture as shares of the record's; beyond 0..1 the file shows
    more. speed: of the record as the file plays it, 1.1 is a tenth too fast.
    """

    agreement: Agreement
    seconds: tuple[SecondState, ...] = ()
    offset_s: float = 0.0
    distance: float | None = None
    motion_correlation: float | None = None
    activity_correlation: float | None = None
    layout_correlation: float | None = None
    note: str = ""
    mirrored: bool = False
    shown: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    speed: float = 1.0


class SoundState(StrEnum):
    """How the sound of a file compares with that of a record."""

    AGREES = "agrees"
    DIFFERS = "differs"
    IN_PART = "in_part"
    INCONCLUSIVE = "inconclusive"
    MISSING = "missing"  # the record has sound, the file has none: noted, no difference
    ADDED = "added"  # the file has sound, the record has none: a difference
    ABSENT = "absent"  # neither has any
    NOT_COMPARED = "not_compared"


@dataclass(frozen=True, slots=True)
class SoundSignal:
    """Fingerprint of the sound against one record. error_rate: share of differing bits, 0.5 for unrelated sound."""

    state: SoundState
    seconds: tuple[SecondState, ...] = ()
    offset_s: float = 0.0
    error_rate: float | None = None


STILL_SCHEME = "still"  # of a mark that is the number of a still: it has no key


@dataclass(frozen=True, slots=True)
class FoundMark:
    """One of the marks of a file: whose it is, by which key, and the seconds that carry it."""

    watermark_id: str
    key_name: str
    scheme: str
    false_match_probability: float
    segments_s: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class MarkSignal:
    """The watermark read from the picture. segments_s: seconds that carry it. false_match_probability: candidates x tail.

    Where several were found, that of the most seconds; marks: all of them, in order of appearance. compromised: somebody else
    may hold its key, so that it proves nothing.
    """

    found: bool
    watermark_id: str | None = None
    key_name: str | None = None
    scheme: str | None = None
    false_match_probability: float | None = None
    candidates: int = 0
    segments_s: tuple[tuple[float, float], ...] = ()
    marks: tuple[FoundMark, ...] = ()
    compromised: bool = False


@dataclass(frozen=True, slots=True)
class RecordView:
    """What a verdict may know of one record of ours. It names nobody."""

    record_id: UUID
    watermark_id: str
    job_id: UUID
    system: str
    system_version: str
    studio_public_name: str | None
    created_at: datetime
    sealed: bool
    manifest_id: str | None
    manifest_sha256: str | None
    signer_serial: str | None
    duration_s: float | None
    preview: bool = False  # the record of a job's previews: reserved, never sealed


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a file that holds several outputs: the record it is of, by its mark or by its content, compared with it.

    All times are those of the file. marked: it carries the record's own mark. compromised: as for `MarkSignal`.
    """

    start_s: float
    end_s: float
    watermark_id: str
    record: RecordView | None
    picture: PictureSignal
    sound: SoundSignal
    marked: bool = True
    compromised: bool = False


@dataclass(frozen=True, slots=True)
class Signals:
    """Everything seen in one file.

    manifest_record: the record whose id the manifest carries. mark_record: the record of the watermark. index_record: the
    record that the content comes nearest to, when nothing else points there. picture, sound: compared with the record that
    manifest or mark point to, else with that one. pieces: where it holds several records, in order of time.
    """

    manifest: ManifestReading
    mark: MarkSignal
    picture: PictureSignal
    sound: SoundSignal
    duration_s: float
    manifest_record: RecordView | None = None
    mark_record: RecordView | None = None
    index_record: RecordView | None = None
    pieces: tuple[Piece, ...] = ()
    still: bool = False
    several_streams: bool = False  # more than one video stream: a player may show another than the one examined
    several_tracks: bool = False  # sounds, subtitles or loudspeakers that a player may add to what was examined
    notes: tuple[str, ...] = ()
