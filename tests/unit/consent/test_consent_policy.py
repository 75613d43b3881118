"""The rules, one condition at a time: each of them alone turns a job that is allowed into one that is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from consent.faces.engine import Band
from consent.faces.observed import Side
from consent.policy import Assurance, ConsentView, FaceView, Outcome, Reason, Request, Role, State, Verdict, decide

NOW = datetime(2026, 6, 1, tzinfo=UTC)
STUDIO = uuid4()
REQUEST = Request(STUDIO, "film", frozenset({"DE"}))


def consent(**changes: object) -> ConsentView:
    standing = ConsentView(
        id=uuid4(),
        studio_id=STUDIO,
        role=Role.BOTH,
        state=State.GIVEN,
        assurance=Assurance.CAPTURED,
        purposes=frozenset({"film"}),
        territories=frozenset({"DE", "FR"}),
        voice=True,
        valid_from=NOW - timedelta(days=1),
        valid_until=NOW + timedelta(days=1),
    )
    return replace(standing, **changes)  # type: ignore[arg-type]


def face(side: Side = Side.PORTRAIT, **changes: object) -> FaceView:
    covered = FaceView(f"{side}:1", side, named=True, consent=consent(), band=Band.MATCH)
    return replace(covered, **changes)  # type: ignore[arg-type]


DRIVER = face(Side.DRIVER)


def test_a_job_whose_every_face_is_covered_is_allowed() -> None:
    decision = decide(REQUEST, [face(), DRIVER], NOW)
    assert decision.outcome is Verdict.ALLOW
    assert decision.reasons == ()
    assert [f.outcome for f in decision.faces] == [Outcome.COVERED, Outcome.COVERED]


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"named": False, "consent": None, "band": None}, Outcome.UNNAMED),
        ({"consent": None, "band": None}, Outcome.UNKNOWN),
        ({"consent": consent(studio_id=uuid4())}, Outcome.UNKNOWN),
        ({"hidden": True}, Outcome.HIDDEN),
        ({"matchable": False, "band": None}, Outcome.UNMATCHABLE),
        ({"band": None}, Outcome.NO_TEMPLATE),
        ({"band": Band.NONE}, Outcome.MISMATCH),
        ({"consent": consent(state=State.REQUESTED)}, Outcome.NOT_GIVEN),
        ({"consent": consent(state=State.DECLINED)}, Outcome.NOT_GIVEN),
        ({"consent": consent(state=State.SUSPENDED)}, Outcome.SUSPENDED),
        ({"consent": consent(state=State.WITHDRAWN)}, Outcome.WITHDRAWN),
        ({"consent": consent(state=State.TERMINATED)}, Outcome.TERMINATED),
        ({"consent": consent(state=State.EXPIRED)}, Outcome.EXPIRED),
        ({"consent": consent(valid_until=NOW)}, Outcome.EXPIRED),
        ({"consent": consent(valid_from=NOW + timedelta(seconds=1))}, Outcome.NOT_STARTED),
        ({"consent": consent(role=Role.PERFORMER)}, Outcome.OUT_OF_SCOPE),
        ({"consent": consent(purposes=frozenset({"news"}))}, Outcome.OUT_OF_SCOPE),
        ({"consent": consent(purposes=frozenset())}, Outcome.OUT_OF_SCOPE),
        ({"consent": consent(territories=frozenset({"FR"}))}, Outcome.OUT_OF_SCOPE),
        ({"consent": consent(territories=frozenset())}, Outcome.OUT_OF_SCOPE),
        ({"consent": consent(assurance=Assurance.ATTESTED)}, Outcome.OUT_OF_SCOPE),
    ],
)
def test_each_condition_alone_refuses_and_says_what_to_do(changed: dict[str, object], outcome: Outcome) -> None:
    decision = decide(REQUEST, [face(**changed), DRIVER], NOW)
    assert decision.outcome is Verdict.REFUSE
    assert decision.faces[0].outcome is outcome
    (reason,) = decision.reasons
    assert (reason.code, reason.face) == (outcome, "portrait:1")
    assert "portrait:1" in reason.message
    assert reason.message.rstrip(".").count(". ") == 1  # what is wrong, then what to do


def test_a_likeness_in_doubt_goes_to_a_moderator() -> None:
    decision = decide(REQUEST, [face(band=Band.REVIEW), DRIVER], NOW)
    assert decision.outcome is Verdict.REVIEW
    assert decision.reasons[0].code == "ambiguous"


def test_a_refusal_outweighs_a_doubt() -> None:
    decision = decide(REQUEST, [face(band=Band.REVIEW), face(Side.DRIVER, named=False)], NOW)
    assert decision.outcome is Verdict.REFUSE
    assert [reason.code for reason in decision.reasons] == ["unnamed", "ambiguous"]


@pytest.mark.parametrize("faces", [[], [face()], [DRIVER]])
def test_a_side_without_a_face_is_not_one_where_all_are_covered(faces: list[FaceView]) -> None:
    assert decide(REQUEST, faces, NOW).outcome is Verdict.REFUSE


def test_declaring_a_still_fictional_leads_to_review_at_most() -> None:
    declared = replace(REQUEST, declared_fictional=True)
    drawn = face(named=False, consent=None, band=None)
    assert decide(declared, [drawn, DRIVER], NOW).outcome is Verdict.REVIEW
    assert decide(declared, [face(), DRIVER], NOW).outcome is Verdict.REVIEW


def test_a_performer_cannot_be_declared_fictional() -> None:
    declared = replace(REQUEST, declared_fictional=True)
    assert decide(declared, [face(), face(Side.DRIVER, named=False, consent=None)], NOW).outcome is Verdict.REFUSE


def test_naming_no_territory_asks_for_the_whole_world() -> None:
    everywhere = replace(REQUEST, territories=frozenset())
    assert decide(everywhere, [face(), DRIVER], NOW).outcome is Verdict.REFUSE
    worldwide = [face(s, consent=consent(territories=frozenset({"001"}))) for s in (Side.PORTRAIT, Side.DRIVER)]
    assert decide(everywhere, worldwide, NOW).outcome is Verdict.ALLOW


def test_an_attested_consent_serves_an_internal_test() -> None:
    attested = consent(assurance=Assurance.ATTESTED, purposes=frozenset({"internal_test"}))
    faces = [face(side, consent=attested) for side in (Side.PORTRAIT, Side.DRIVER)]
    assert decide(replace(REQUEST, purpose="internal_test"), faces, NOW).outcome is Verdict.ALLOW


def test_another_reason_refuses_although_every_face_is_covered() -> None:
    second = Reason("second_video_stream", "Two. Send one.")
    decision = decide(REQUEST, [face(), DRIVER], NOW, [second])
    assert decision.outcome is Verdict.REFUSE
    assert decision.reasons == (second,)


def test_an_unknown_purpose_refuses_even_where_a_consent_lists_it() -> None:
    odd = consent(purposes=frozenset({"espionage"}))
    faces = [face(side, consent=odd) for side in (Side.PORTRAIT, Side.DRIVER)]
    assert decide(replace(REQUEST, purpose="espionage"), faces, NOW).outcome is Verdict.REFUSE


def test_the_sound_is_carried_only_if_every_performer_agreed_to_it() -> None:
    silent = face(Side.DRIVER, name="driver:2", consent=consent(voice=False))
    assert decide(REQUEST, [face(), DRIVER], NOW).voice
    assert not decide(REQUEST, [face(), DRIVER, silent], NOW).voice


def test_a_further_driver_is_not_heard_so_its_performer_need_not_lend_a_voice() -> None:
    silent = consent(voice=False)
    further = face(Side.DRIVER, name="driver2:1", consent=silent)
    assert decide(REQUEST, [face(), DRIVER, further], NOW).voice
    assert not decide(REQUEST, [face(), replace(further, consent=consent()), face(Side.DRIVER, consent=silent)], NOW).voice
    assert not decide(REQUEST, [face(), replace(further, consent=consent())], NOW).voice


def recorded(**changes: object) -> FaceView:
    """A face out of a motion template that was recorded under the consent now named for it."""
    named = consent()
    return face(Side.DRIVER, **({"consent": named, "origin": named, "recorded": True} | changes))


def test_a_recorded_performer_is_covered_like_a_filmed_one() -> None:
    decision = decide(REQUEST, [face(), recorded()], NOW)
    assert decision.outcome is Verdict.ALLOW
    assert decision.faces[1].recorded_under == decision.faces[1].consent_id


@pytest.mark.parametrize(
    ("changed", "outcome", "said"),
    [
        ({"origin": None}, Outcome.TEMPLATE_ENDED, "not one of this studio"),
        ({"origin": consent(studio_id=uuid4())}, Outcome.TEMPLATE_ENDED, "not one of this studio"),
        ({"origin": consent(state=State.WITHDRAWN)}, Outcome.TEMPLATE_ENDED, "is withdrawn"),
        ({"origin": consent(state=State.SUSPENDED)}, Outcome.TEMPLATE_ENDED, "is suspended"),
        ({"origin": consent(state=State.TERMINATED)}, Outcome.TEMPLATE_ENDED, "is terminated"),
        ({"origin": consent(assurance=Assurance.ATTESTED)}, Outcome.TEMPLATE_ENDED, "only attested"),
        ({"band": Band.NONE}, Outcome.MISMATCH, "not the person"),
        ({"consent": consent(state=State.WITHDRAWN)}, Outcome.WITHDRAWN, "was withdrawn"),
        ({"consent": consent(valid_until=NOW)}, Outcome.EXPIRED, "has expired"),
        ({"consent": consent(role=Role.DEPICTED)}, Outcome.OUT_OF_SCOPE, "role depicted"),
        ({"consent": None, "band": None, "named": False}, Outcome.UNNAMED, "No consent was named"),
        (
            {
                "consent": None,
                "named": False,
                "note": "motion template 7 of May",
                "origin": consent(state=State.WITHDRAWN),
            },
            Outcome.TEMPLATE_ENDED,
            "motion template 7 of May, which cannot be used: the consent it was recorded under is withdrawn",
        ),
    ],
)
def test_a_recording_counts_only_under_consents_that_stand(changed: dict[str, object], outcome: Outcome, said: str) -> None:
    decision = decide(REQUEST, [face(), recorded(**changed)], NOW)
    assert (decision.outcome, decision.faces[1].outcome) == (Verdict.REFUSE, outcome)
    assert said in decision.reasons[0].message


def test_a_recording_outlives_the_term_it_was_made_in() -> None:
    assert decide(REQUEST, [face(), recorded(origin=consent(state=State.EXPIRED))], NOW).outcome is Verdict.ALLOW


def test_a_recorded_performer_cannot_be_declared_fictional() -> None:
    declared = replace(REQUEST, declared_fictional=True)
    unnamed = recorded(named=False, consent=None)
    assert decide(declared, [face(), unnamed], NOW).outcome is Verdict.REFUSE
