"""The public answer gives nothing away that would steer an attack on the mark."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.verdict_words import EXPLANATIONS, HEADLINES
from portal.public_answer import TAIL_S, public_answer, whole_seconds
from portal.verdict_view import TONES, verdict_view
from provenance.verify import Verdict

EXACT: dict[str, Any] = {
    "verdict": "altered",
    "reasons": ["content_matches_in_part"],
    "record": {
        "created": "2026-11-22T14:00:00+00:00",
        "system": "Countersign 1",
        "studio": None,
        "watermark_id": "9a2f4c19d08e7731",
        "consent": {"state": "active", "since": None, "person": "Somebody"},
        "availability": "released",
        "job_id": "secret",
    },
    "signals": {
        "manifest": {"state": "none", "class": "none", "codes": ["a.b"], "signer_name": "X"},
        "watermark": {
            "found": True,
            "watermark_id": "9a2f4c19d08e7731",
            "false_match_probability": 3.217e-21,
            "candidates": 4711,
            "segments": [[0.4, 2.133], [2.5, 3.01]],
        },
        "fingerprint": {"agreement": "in_part", "distance": 17.25, "seconds": [{"start": 0, "distance": 12.5}]},
        "audio": {"state": "missing", "error_rate": 0.4711},
    },
    "timeline": [{"start": 0.0, "end": 2.133, "verdict": "recovered"}, {"start": 2.133, "end": 4.004, "verdict": "altered"}],
    "manifest_id": "urn:c2pa:1",
}


def test_figures_that_measure_distance_or_probability_stay_inside() -> None:
    told = json.dumps(public_answer(EXACT))
    for figure in ("3.217e-21", "4711", "17.25", "12.5", "0.4711", "2.133", "Somebody", "secret", "a.b"):
        assert figure not in told


def test_seconds_are_whole_and_neighbours_do_not_overlap() -> None:
    answer = public_answer(EXACT)
    assert answer["timeline"] == [{"start": 0, "end": 3, "verdict": "recovered"}, {"start": 3, "end": 4, "verdict": "altered"}]
    assert answer["signals"]["watermark"]["segments"] == [[0, 3]]


def test_strength_of_a_watermark_follows_its_false_match_probability() -> None:
    def strength(**signal: object) -> str:
        result = copy.deepcopy(EXACT)
        result["signals"]["watermark"] = signal
        return public_answer(result)["signals"]["watermark"]["strength"]

    assert strength(found=True, false_match_probability=1e-12, segments=[]) == "strong"
    assert strength(found=True, false_match_probability=1e-6, segments=[]) == "weak"
    assert strength(found=True, false_match_probability=None, segments=[]) == "weak"
    assert strength(found=False, false_match_probability=1e-30) == "none"


def test_an_id_that_was_not_found_is_not_told() -> None:
    result = copy.deepcopy(EXACT)
    result["signals"]["watermark"] |= {"found": False}
    assert public_answer(result)["signals"]["watermark"]["watermark_id"] is None


def test_unknown_is_never_called_authentic() -> None:
    answer = public_answer({"verdict": "unknown", "signals": {}, "record": None, "timeline": []})
    view = verdict_view(answer)
    assert {layer.strength for layer in view.layers} == {"none"}
    assert "does not mean that the video is real" in view.explanation


@pytest.mark.parametrize("verdict", ["confirmed", "recovered", "altered"])
def test_an_ended_consent_is_said_in_the_headline_and_is_no_good_news(verdict: str) -> None:
    result = copy.deepcopy(EXACT) | {"verdict": verdict}
    result["record"] |= {"consent": {"state": "revoked", "since": "2026-11-22T15:00:00+00:00"}, "availability": "withdrawn"}
    result["reasons"] = ["withdrawn", "consent_revoked", "sound_missing"]
    view = verdict_view(public_answer(result))
    assert view.tone == "warn"
    assert view.notes == ("The original has sound, this file has none.",)  # the headline says the rest
    assert view.headline.startswith("Withdrawn: consent was revoked on 22 Nov 2026, 15:00 UTC. This ")
    assert view.verdict == verdict
    assert "no longer handed out" in view.explanation


def test_a_public_answer_begins_with_its_summary_and_a_record_with_whether_it_is_handed_out() -> None:
    answer = public_answer(EXACT)
    assert list(answer)[:2] == ["summary", "verdict"]
    assert answer["summary"] == "This came from here, but it was changed."
    assert list(answer["record"])[:2] == ["availability", "consent"]


def test_a_clip_withdrawn_while_consent_stands_is_no_good_news_either() -> None:
    result = copy.deepcopy(EXACT) | {"verdict": "confirmed"}
    result["record"] |= {"availability": "withdrawn"}
    view = verdict_view(public_answer(result))
    assert (view.tone, view.headline.startswith("Withdrawn. ")) == ("warn", True)


@pytest.mark.parametrize("withdrawn", [0, 1])
def test_of_several_clips_the_withdrawn_one_is_named(withdrawn: int) -> None:
    first = EXACT["record"] | {"segments": [[0.0, 2.0]]}
    records = [first, first | {"watermark_id": "0b0b0b0b0b0b0b0b", "segments": [[2.0, 4.0]]}]
    records[withdrawn] |= {"availability": "withdrawn"}
    result = copy.deepcopy(EXACT) | {"record": records[0], "records": records, "reasons": ["withdrawn", "several_records"]}
    answer = public_answer(result)
    view = verdict_view(answer)
    assert view.headline == answer["summary"] == f"It holds a clip that is not to be shown any more. {HEADLINES['altered']}"
    assert (view.tone, view.explanation.startswith("Part of it is no longer handed out")) == ("warn", True)
    which = ("Record 9a2f4c19d08e7731 (0-2 s)", "Record 0b0b0b0b0b0b0b0b (2-4 s)")[withdrawn]
    assert view.notes[0] == f"{which}: The clip was withdrawn and is not handed out any more."
    assert len(view.notes) == 2


def test_a_signature_by_a_stolen_key_is_not_told_as_content_that_contradicts() -> None:
    view = verdict_view(public_answer({"verdict": "transplanted", "reasons": ["key_compromise_suspected"]}))
    assert (view.tone, view.notes) == ("bad", ())
    assert "signed with our key outside the platform" in view.explanation
    assert "contradicts" not in view.explanation


def test_a_mark_that_anybody_could_have_made_is_not_called_missing() -> None:
    view = verdict_view(public_answer({"verdict": "unknown", "reasons": ["mark_of_compromised_key"]}))
    assert (view.tone, view.notes) == ("quiet", ())
    assert "does not mean that the video is real" in view.explanation
    assert "no trace" not in view.explanation


def test_every_verdict_has_words() -> None:
    assert set(TONES) == set(EXPLANATIONS) == set(HEADLINES) == {verdict.value for verdict in Verdict}


moments = st.floats(0, 300, allow_nan=False).map(lambda value: round(value, 3))
verdicts = st.sampled_from(["recovered", "altered", "unknown"])


@given(st.lists(st.tuples(moments, verdicts), min_size=2, max_size=12, unique_by=lambda pair: pair[0]))
def test_rounded_spans_are_whole_ordered_and_apart(cuts: list[tuple[float, str]]) -> None:
    cuts.sort()
    spans = [{"start": a, "end": b, "verdict": v} for (a, v), (b, _) in itertools.pairwise(cuts)]
    told = whole_seconds(spans)
    assert all(isinstance(span["start"], int) and span["start"] < span["end"] for span in told)
    assert all(first["end"] <= second["start"] for first, second in itertools.pairwise(told))
    assert told[0]["start"] <= spans[0]["start"]
    assert told[-1]["end"] >= spans[-1]["end"] - TAIL_S


@pytest.mark.parametrize(("scheme", "strength"), [("2", "strong"), ("still", "weak")])
def test_the_number_of_a_still_is_weak_evidence_however_rare(scheme: str, strength: str) -> None:
    signals = {"watermark": {"found": True, "scheme": scheme, "false_match_probability": 1e-10}}
    answer = public_answer({"verdict": "recovered", "signals": signals})
    assert answer["signals"]["watermark"]["strength"] == strength
