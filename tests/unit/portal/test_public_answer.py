"""The public answer gives nothing away that would steer an attack on the mark."""

from __future__ import annotations

import copy
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.verdict_words import EXPLANATIONS, HEADLINES
from portal.public_answer import TAIL_S, public_answer, whole_seconds
from portal.verdict_view import TONES, verdict_view
from provenance.verify import Verdict

EXACT = {
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
