"""The index with 100,000 entries: how long a look-up takes, and whether the first match is the right one.

The entries are made up as fingerprints are: portraits that perform, each portrait with many performances (so that the index
is full of near neighbours), at random but with the proportions of real outputs; some real clips lie among them and are
looked up as excerpts, mirrored and cropped.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction

from provenance.fingerprint import windows as windows_module
from provenance.fingerprint.video import RATE_HZ, VideoFingerprint
from provenance.fingerprint.windows import BINS, Course
from provenance.fingerprint_index import top_matches
from provenance.models import FingerprintWindow, Record
from provenance.vector_field import vector_literal
from tests.bench.fingerprint.copies import PLAIN, TOLD_APART, Copy, kept
from tests.bench.fingerprint.material import Piece
from tests.bench.fingerprint.records import add_empty_records, add_records

F64 = npt.NDArray[np.float64]

SECONDS = 3.0
PER_PORTRAIT = 50
QUERIES = 100
EXCERPT = Copy("excerpt, 10% cropped, CRF 30", "crop=iw*.9:ih*.9:iw*.1*{a}:ih*.1*{b}", crf=30, start_s=0.4)
MIRRORED = Copy("mirrored, CRF 28", "hflip")
COPIES = (TOLD_APART, EXCERPT, MIRRORED)
DROP, CREATE = (
    "DROP INDEX fingerprint_window_nearest",
    "CREATE INDEX fingerprint_window_nearest ON provenance_fingerprintwindow"
    " USING hnsw (vector halfvec_ip_ops) WITH (m = 16, ef_construction = 64)",
)


def measure(pieces: Sequence[Piece], *, entries: int) -> dict[str, Any]:
    """Fills the index, unless the database was kept, and looks up copies of the real clips in it."""
    began = time.monotonic()
    windows = FingerprintWindow.objects.count() or _fill(entries)
    filled_s = time.monotonic() - began
    keys = _known(pieces)
    wall_ms, own_ms, wrong = [], [], []
    chosen = [pieces[index] for index in np.linspace(0, len(pieces) - 1, min(QUERIES, len(pieces))).astype(int)]
    _timed(kept(chosen[0].path, PLAIN))  # the first query reads the index from disk
    server_began_s = _server_cpu_s()
    for number, piece in enumerate(chosen):
        copy = COPIES[number % len(COPIES)]
        found, spent_ms, asked_ms = _timed(kept(piece.path, copy))
        wall_ms.append(spent_ms)
        own_ms.append(asked_ms)
        right = bool(found) and found[0].record_id == keys[piece.name] and found[0].mirrored == ("hflip" in copy.filters)
        if not right:
            wrong.append([piece.name, copy.name])
    return {
        "entries": entries,
        "windows": windows,
        "fill_and_build_s": round(filled_s),
        "queries": len(chosen),
        "top_1_wrong": wrong,
        "wall_ms_median": round(float(np.median(wall_ms)), 1),
        "wall_ms_95": round(float(np.percentile(wall_ms, 95)), 1),
        "cpu_ms_mean": round(float(np.mean(own_ms)), 1),
        "server_cpu_ms_mean": round(1000 * (_server_cpu_s() - server_began_s) / len(chosen), 1),
    }


def kept_as(entries: int) -> str:
    """The name of the database that holds these entries: another when how windows are made has changed."""
    sources = b"".join(Path(module.__file__ or "").read_bytes() for module in (windows_module, sys.modules[__name__]))
    return f"bench_fingerprint_{entries}_{hashlib.sha256(sources).hexdigest()[:8]}"


def _known(pieces: Sequence[Piece]) -> dict[str, uuid.UUID]:
    """The records of the real clips, by name; added where a kept database has none."""
    numbers = {piece.name: uuid.uuid5(uuid.NAMESPACE_OID, piece.name) for piece in pieces}
    keys = dict(Record.objects.filter(job_id__in=numbers.values()).values_list("job_id", "pk"))
    missing = [piece for piece in pieces if numbers[piece.name] not in keys]
    wanted = [numbers[piece.name] for piece in missing]
    keys.update(zip(wanted, add_records([kept(piece.path, PLAIN) for piece in missing], wanted), strict=True))
    return {name: keys[number] for name, number in numbers.items()}


def _timed(query: VideoFingerprint) -> tuple[list[Any], float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = top_matches(query)
    return found, 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)


def _server_cpu_s() -> float:
    """CPU time of this connection's server process, which runs on this machine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (process,) = cursor.fetchone()
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _fill(entries: int) -> int:
    """Writes the entries without the index and builds it then, which is faster; how many windows."""
    count = 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(DROP)
        keys = add_empty_records(entries)
        with cursor.copy("COPY provenance_fingerprintwindow (record_id, at_s, vector) FROM STDIN") as rows:
            for key, (times_s, vectors) in zip(keys, crowd(entries), strict=True):
                for at_s, vector in zip(times_s, vectors, strict=True):
                    rows.write_row((key, at_s, vector_literal(vector.tolist())))
                    count += 1
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no index is built over rows whose keys are still to be checked
        cursor.execute("SET LOCAL maintenance_work_mem = '1GB'")
        cursor.execute(CREATE)
        cursor.execute("ANALYZE provenance_fingerprintwindow")
    return count


def crowd(entries: int) -> Iterator[tuple[list[float], npt.NDArray[np.float32]]]:
    """Times and vectors of the windows of each entry, a portrait's performances at once: as many views of one course."""
    chance = np.random.default_rng(9)
    for first in range(0, entries, PER_PORTRAIT):
        portrait, ways = chance.normal(110, 35, BINS * BINS), _ways(chance)
        played = [portrait + _acts(chance) @ ways for _ in range(min(PER_PORTRAIT, entries - first))]
        course = Course(np.stack(played, axis=1))
        times_s = course.moments()
        yield from ((times_s, vectors) for vectors in course.at(times_s).transpose(1, 0, 2))


def _ways(chance: np.random.Generator) -> F64:
    """By how much each bin follows the head sideways, the head up and down, the mouth and the eyes, (4, 16)."""
    rows, columns = np.divmod(np.arange(BINS * BINS), BINS)
    row, column = chance.uniform(0.8, 2.2, 2)
    face = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 2)
    mouth = np.exp(-((rows - row - 0.6) ** 2 + (columns - column) ** 2) / 0.3)
    eyes = np.exp(-((rows - row + 0.4) ** 2 + (columns - column) ** 2) / 0.5)
    sizes = chance.normal(0, 1, (2, BINS * BINS)) * 6
    return np.stack([face * sizes[0], face * sizes[1], mouth * chance.normal(-4, 2), eyes * chance.normal(-1.5, 1)])


def _acts(chance: np.random.Generator) -> F64:
    """A performance: (T, 4), smooth; the mouth faster than the head."""
    count = round(SECONDS * RATE_HZ)
    steps = chance.normal(0, 1, (count + 8, 4))
    widths = (7, 7, 3, 3)
    smooth = [
        np.convolve(steps[:, kind], np.hanning(width + 2)[1:-1], "same")[4 : 4 + count] for kind, width in enumerate(widths)
    ]
    return np.stack(smooth, axis=1) * chance.lognormal(0, 0.5, 4)
