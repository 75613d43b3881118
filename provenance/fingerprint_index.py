"""The search by content: which records a file may be a copy of, where in them it starts, and whether it is mirrored.

Windows of every sealed picture lie in PostgreSQL under an index of nearest neighbours (pgvector: Malkov and Yashunin,
"Efficient and robust approximate nearest neighbor search using HNSW graphs", 2018). Those nearest to the windows of a file
propose records and offsets; each proposal is then measured exactly at the windows of the record that the file covers, and
leaders that these cannot tell apart by their whole fingerprints.
"""

from __future__ import annotations

import itertools
import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction

from provenance.errors import FingerprintUnreadable
from provenance.fingerprint.ranking import Match, Stored, by_windows, in_full
from provenance.fingerprint.video import VideoFingerprint
from provenance.fingerprint.windows import Course
from provenance.models import FingerprintWindow, Record
from provenance.vector_field import vector_literal

logger = logging.getLogger(__name__)

F32 = npt.NDArray[np.float32]

LIMIT = 8
_MOMENTS = 16  # of a file that are looked up, in both hands
_NEIGHBOURS = 10
_SEARCH_WIDTH = 40  # of the graph: wider finds more and takes longer
_VOTE_S = 0.25
_PROPOSALS = 48
_CLOSE = 0.1  # of the first match's rank: what lies within is compared by the fingerprints themselves
_COMPARED = 4

NEAREST = """
    SELECT query.number, near.record_id, near.at_s, near.cosine
    FROM (SELECT number, text::halfvec AS vector FROM unnest(%s::int[], %s::text[]) AS given(number, text)) AS query
    CROSS JOIN LATERAL (
        SELECT record_id, at_s, -(stored.vector <#> query.vector) AS cosine
        FROM provenance_fingerprintwindow AS stored ORDER BY stored.vector <#> query.vector LIMIT %s
    ) AS near
"""


def add_to_index(*, record: Record, fingerprint: VideoFingerprint) -> None:
    """Makes a sealed record findable by its content; within the transaction that seals it."""
    windows = Course.of(fingerprint).windows()
    FingerprintWindow.objects.bulk_create(
        [FingerprintWindow(record=record, at_s=window.at_s, vector=window.vector) for window in windows]
    )


def index_missing() -> int:
    """Adds the records that were sealed before there was an index; how many. Those of another version are passed over."""
    missing = Record.objects.filter(sealed_at__isnull=False, fingerprint_windows__isnull=True)
    count = 0
    for record in missing.iterator(chunk_size=50):
        try:
            fingerprint = VideoFingerprint.from_bytes(bytes(record.fingerprint))
        except FingerprintUnreadable:
            logger.warning("record %s cannot be found by content: its fingerprint is unreadable", record.pk)
            continue
        with transaction.atomic():
            add_to_index(record=record, fingerprint=fingerprint)
        count += 1
    return count


def top_matches(fingerprint: VideoFingerprint, *, limit: int = LIMIT) -> list[Match]:
    """The records that the picture resembles most, best first. Bears crops by a tenth and mirroring."""
    if len(fingerprint.cells) < 2:
        return []
    proposals = sorted(_proposals(fingerprint), key=lambda proposal: -proposal.score)[:_PROPOSALS]
    stored = _windows_of({proposal.record_id for proposal in proposals})
    found = by_windows(fingerprint, proposals, stored)
    close = [match for match in found[:_COMPARED] if match.rank > found[0].rank - _CLOSE]
    if len(close) > 1:
        found[: len(close)] = in_full(fingerprint, close, _fingerprints_of(match.record_id for match in close))
    return found[:limit]


def _proposals(fingerprint: VideoFingerprint) -> Iterator[Match]:
    """Records and offsets for which neighbours of several windows speak: those within a quarter of a second count together.

    Scored by the sum of their cosines.
    """
    courses = {mirrored: Course.of(fingerprint, mirrored=mirrored) for mirrored in (False, True)}
    times_s = courses[False].stretches(_MOMENTS)
    asked = [(mirrored, at_s) for mirrored in courses for at_s in times_s]
    vectors = np.concatenate([course.at(times_s)[:, 0] for course in courses.values()])
    votes: dict[tuple[uuid.UUID, bool, int], list[tuple[float, float]]] = defaultdict(list)
    for number, record_id, stored_s, cosine in _nearest(vectors):
        mirrored, at_s = asked[number]
        offset_s = stored_s - at_s
        votes[record_id, mirrored, round(offset_s / _VOTE_S)].append((cosine, offset_s))
    for (record_id, mirrored, _), found in votes.items():
        yield Match(record_id, max(found)[1], mirrored, sum(cosine for cosine, _ in found))


def _nearest(vectors: F32) -> list[tuple[int, uuid.UUID, float, float]]:
    literals = [vector_literal(vector) for vector in vectors.tolist()]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('hnsw.ef_search', %s, true)", [str(_SEARCH_WIDTH)])
        cursor.execute(NEAREST, [list(range(len(literals))), literals, _NEIGHBOURS])
        rows: list[tuple[int, uuid.UUID, float, float]] = cursor.fetchall()
    return rows


def _windows_of(record_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Stored]:
    rows = FingerprintWindow.objects.filter(record__in=list(record_ids)).order_by("record", "at_s")
    found = rows.values_list("record_id", "at_s", "vector")
    grouped = {key: list(group) for key, group in itertools.groupby(found, key=lambda row: row[0])}
    return {
        key: Stored(np.array([row[1] for row in group]), np.stack([row[2] for row in group])) for key, group in grouped.items()
    }


def _fingerprints_of(record_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, VideoFingerprint]:
    """The fingerprints of records; without those of another version."""
    found: dict[uuid.UUID, VideoFingerprint] = {}
    for key, kept in Record.objects.filter(pk__in=list(record_ids)).values_list("pk", "fingerprint"):
        try:
            found[key] = VideoFingerprint.from_bytes(bytes(kept))
        except FingerprintUnreadable:
            logger.warning("record %s cannot be compared: its fingerprint is unreadable", key)
    return found
