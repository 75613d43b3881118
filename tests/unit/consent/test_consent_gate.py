"""The door: stored consents, sealed templates and observed faces together. Distances are told in a plane."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from consent_material import FlatEngine, seen
from django.utils import timezone

from consent import gate, services
from consent.errors import FaceEngineError, TemplateDestroyed
from consent.faces.observed import CountedBy, ObservedFace
from consent.models import Consent, Person, PersonKey
from consent.policy import Assurance, Reason, Role, Verdict
from users.models import Studio
from users.services import create_studio

INPUTS = {"portrait": "a" * 64, "driver": "b" * 64}
Make = Callable[..., Consent]
Ask = Callable[..., gate.Assessment]


@pytest.fixture
def pair(make_consent: Make) -> dict[str, UUID]:
    """Consents of a depicted person at (0, 0) and a performer at (3, 0)."""
    return {"portrait:1": make_consent((0.0, 0.0)).id, "driver:1": make_consent((3.0, 0.0), voice=True).id}


FACES = (seen("portrait:1", (0.1, 0.0)), seen("driver:1", (3.0, 0.1), (3.1, 0.0)))


@pytest.fixture
def ask(studio: Studio, flat: FlatEngine) -> Ask:
    def asked(named: dict[str, UUID], *faces: ObservedFace, **changes: Any) -> gate.Assessment:
        question = {
            "studio_id": studio.id,
            "purpose": "film",
            "territories": ["DE"],
            "declared_fictional": False,
            "named": named,
            "observed": faces or FACES,
            "inputs": INPUTS,
            "engine": flat,
        }
        return gate.assess(**(question | changes))  # type: ignore[arg-type]

    return asked


def codes(assessment: gate.Assessment) -> list[str]:
    return [reason.code for reason in assessment.decision.reasons]


def test_two_covered_people_are_allowed(ask: Ask, pair: dict[str, UUID]) -> None:
    assessment = ask(pair)
    assert assessment.outcome is Verdict.ALLOW
    assert gate.require_not_refused(assessment) is assessment
    assert assessment.decision.voice is True


def test_a_face_without_a_named_consent_is_refused_although_the_studio_holds_its_consent(ask: Ask, pair: dict[str, UUID]) -> None:
    del pair["portrait:1"]
    assert codes(ask(pair)) == ["unnamed"]


def test_the_consent_of_somebody_else_does_not_cover_a_face(ask: Ask, pair: dict[str, UUID]) -> None:
    swapped = {"portrait:1": pair["driver:1"], "driver:1": pair["portrait:1"]}
    assert codes(ask(swapped)) == ["mismatch", "mismatch"]


def test_a_second_face_in_one_frame_of_the_driver_stops_the_job(ask: Ask, pair: dict[str, UUID]) -> None:
    passer_by = seen("driver:2", (9.0, 9.0), frames=1)
    assessment = ask(pair, *FACES, passer_by)
    assert [(r.code, r.face) for r in assessment.decision.reasons] == [("unnamed", "driver:2")]


def test_a_face_that_cannot_be_matched_blocks_instead_of_vanishing(ask: Ask, pair: dict[str, UUID]) -> None:
    tiny = seen("portrait:2", note="too small")
    assert codes(ask(pair, *FACES, tiny)) == ["unmatchable"]


def test_a_face_under_transparency_is_refused_even_if_its_person_consented(
    ask: Ask, pair: dict[str, UUID], make_consent: Make
) -> None:
    beneath = seen("portrait:2", (5.0, 5.0), hidden=True)
    named = {**pair, "portrait:2": make_consent((5.0, 5.0)).id}
    assert codes(ask(named, *FACES, beneath)) == ["hidden_face"]


def test_another_studios_consent_reads_like_none_and_its_template_stays_shut(
    ask: Ask, pair: dict[str, UUID], make_consent: Make, other_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = make_consent((0.0, 0.0), of=other_studio)
    PersonKey.objects.filter(person=theirs.person).delete()  # opening it would raise
    assert codes(ask({**pair, "portrait:1": theirs.id})) == ["unknown"]
    assert codes(ask({**pair, "portrait:1": uuid4()})) == ["unknown"]


def test_a_name_for_a_face_that_is_not_there_is_refused(ask: Ask, pair: dict[str, UUID]) -> None:
    assert codes(ask({**pair, "driver:7": pair["driver:1"]})) == ["name_without_face"]


def test_a_template_less_proven_than_its_consent_is_not_used(ask: Ask, pair: dict[str, UUID], make_consent: Make) -> None:
    captured = make_consent((0.0, 0.0), assurance=Assurance.CAPTURED, template_assurance=Assurance.ATTESTED)
    assert codes(ask({**pair, "portrait:1": captured.id})) == ["no_template"]


def test_a_template_past_its_term_is_not_used(ask: Ask, pair: dict[str, UUID]) -> None:
    Consent.objects.update(valid_until=timezone.now() + timedelta(days=999))
    assert codes(ask(pair, now=timezone.now() + timedelta(days=61))) == ["no_template", "no_template"]


def test_a_commercial_purpose_needs_a_model_licensed_for_it(ask: Ask, pair: dict[str, UUID]) -> None:
    research_only = FlatEngine()
    research_only.model = replace(FlatEngine.model, commercial_use=False)  # type: ignore[misc]
    assert codes(ask(pair, engine=research_only)) == ["model_licence"]


def test_reasons_found_elsewhere_refuse(ask: Ask, pair: dict[str, UUID]) -> None:
    second = Reason("second_video_stream", "Two. Send one.", None)
    assert codes(ask(pair, extra_reasons=[second])) == ["second_video_stream"]


@pytest.mark.parametrize(
    "inputs", [{}, {"portrait": "a" * 64}, {**INPUTS, "driver": ""}, {**INPUTS, "driver": "B" * 64}, {**INPUTS, "driver2": "b"}]
)
def test_a_decision_bound_to_no_file_is_refused(ask: Ask, pair: dict[str, UUID], inputs: dict[str, str]) -> None:
    assert codes(ask(pair, inputs=inputs)) == ["changed_input"]


def test_a_face_of_a_file_the_decision_is_not_bound_to_is_refused(ask: Ask, pair: dict[str, UUID], make_consent: Make) -> None:
    second = seen("driver2:1", (6.0, 0.0))
    named = {**pair, "driver2:1": make_consent((6.0, 0.0)).id}
    assert codes(ask(named, *FACES, second)) == ["changed_input"]
    assert ask(named, *FACES, second, inputs={**INPUTS, "driver2": "c" * 64}).outcome is Verdict.ALLOW


def test_a_look_alike_goes_to_a_moderator_and_a_stranger_is_refused(ask: Ask, pair: dict[str, UUID]) -> None:
    alike = ask(pair, seen("portrait:1", (0.5, 0.0)), FACES[1])
    assert alike.outcome is Verdict.REVIEW
    stranger = ask(pair, seen("portrait:1", (0.6, 0.0)), FACES[1])
    with pytest.raises(gate.ConsentRefused, match="Ask the person who is shown"):
        gate.require_not_refused(stranger)


def test_a_person_swapped_in_for_one_look_is_found_although_the_mean_matches(ask: Ask, pair: dict[str, UUID]) -> None:
    looks = [(3.0, 0.0)] * 20 + [(3.9, 0.0)]
    assert codes(ask(pair, FACES[0], seen("driver:1", *looks))) == ["mismatch"]


def test_three_doubtful_looks_in_a_row_go_to_a_moderator_although_the_mean_matches(ask: Ask, pair: dict[str, UUID]) -> None:
    looks = [(3.0, 0.0)] * 20 + [(3.5, 0.0)] * 3
    assert codes(ask(pair, FACES[0], seen("driver:1", *looks))) == ["ambiguous"]


def test_a_second_in_which_nobody_could_look_goes_to_a_moderator(ask: Ask, pair: dict[str, UUID]) -> None:
    assert codes(ask(pair, FACES[0], replace(FACES[1], blind_s=1.1))) == ["ambiguous"]


@pytest.mark.parametrize(("frames", "says"), [(1, ["ambiguous"]), (2, ["ambiguous"]), (3, ["mismatch"])])
def test_blurred_views_of_somebody_else_contradict_what_the_sharp_ones_say(
    frames: int, says: list[str], ask: Ask, pair: dict[str, UUID]
) -> None:
    between = np.array([*[(3.0, 0.5)] * 9, *[(4.0, 0.0)] * frames, *[(3.0, 0.5)] * 9])
    assert codes(ask(pair, FACES[0], replace(FACES[1], unclear=between))) == says


def test_blurred_views_vouch_for_nobody(ask: Ask, pair: dict[str, UUID]) -> None:
    only_blurred = replace(seen("driver:1", note="too blurred"), unclear=np.array([(3.0, 0.0)] * 9))
    assert codes(ask(pair, FACES[0], only_blurred)) == ["unmatchable"]


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -1.0])
def test_a_distance_that_is_no_distance_matches_nobody(ask: Ask, pair: dict[str, UUID], broken: float) -> None:
    class Broken(FlatEngine):
        def distance(self, first: np.ndarray, second: np.ndarray) -> float:  # type: ignore[type-arg]
            return broken

    assert codes(ask(pair, engine=Broken())) == ["mismatch", "mismatch"]


def test_an_engine_that_fails_stops_the_job(ask: Ask, pair: dict[str, UUID]) -> None:
    class Failing(FlatEngine):
        def distance(self, first: np.ndarray, second: np.ndarray) -> float:  # type: ignore[type-arg]
            raise FaceEngineError("The model is gone. Install it.")

    with pytest.raises(FaceEngineError):
        ask(pair, engine=Failing())


def test_a_destroyed_key_stops_the_job(ask: Ask, pair: dict[str, UUID]) -> None:
    PersonKey.objects.all().delete()
    with pytest.raises(TemplateDestroyed):
        ask(pair)


def test_the_stored_decision_holds_neither_scores_nor_embeddings_nor_names(ask: Ask, pair: dict[str, UUID]) -> None:
    stored = json.dumps(ask(pair).snapshot())
    assert "Ada" not in stored
    assert "0.1" not in stored
    assert "distance" not in stored


# --- asked again, without pixels ---


@pytest.fixture
def stored(ask: Ask, pair: dict[str, UUID]) -> dict[str, Any]:
    """The decision as it comes back from the database."""
    return dict(json.loads(json.dumps(ask(pair).snapshot())))


def test_consents_that_still_stand_let_the_job_go_on(stored: dict[str, Any]) -> None:
    assert gate.require_still_standing(decision_snapshot=stored).outcome is Verdict.ALLOW


def test_a_withdrawal_after_the_decision_stops_the_job(stored: dict[str, Any], pair: dict[str, UUID]) -> None:
    services.withdraw_consent(consent_id=pair["driver:1"], actor="system")
    with pytest.raises(gate.ConsentRefused, match="withdrawn"):
        gate.require_still_standing(decision_snapshot=stored)


@pytest.mark.parametrize(
    "narrowed",
    [
        {"purposes": ["news"]},
        {"territories": ["FR"]},
        {"role": "performer"},
        {"valid_until": timezone.now() - timedelta(minutes=1)},
        {"state": "suspended"},
    ],
)
def test_a_consent_narrowed_after_the_decision_stops_the_job(
    stored: dict[str, Any], pair: dict[str, UUID], narrowed: dict[str, Any]
) -> None:
    Consent.objects.filter(id=pair["portrait:1"]).update(**narrowed)
    with pytest.raises(gate.ConsentRefused):
        gate.require_still_standing(decision_snapshot=stored)


def test_a_voice_taken_back_silences_the_job(stored: dict[str, Any], pair: dict[str, UUID]) -> None:
    Consent.objects.filter(id=pair["driver:1"]).update(voice=False)
    assert gate.require_still_standing(decision_snapshot=stored).voice is False


def test_a_decision_parked_for_review_can_be_asked_again(ask: Ask, pair: dict[str, UUID]) -> None:
    doubtful = ask(pair, seen("portrait:1", (0.5, 0.0)), FACES[1]).snapshot()
    assert gate.require_still_standing(decision_snapshot=doubtful).outcome is Verdict.REVIEW


@pytest.mark.parametrize(
    "damage",
    [{"format": 3}, {"inputs": {}}, {"inputs": 7}, {"faces": []}, {"faces": None}, {"outcome": "refuse"}, {"outcome": "yes"}],
)
def test_a_stored_decision_that_is_damaged_or_said_no_stops_the_job(stored: dict[str, Any], damage: dict[str, Any]) -> None:
    with pytest.raises(gate.ConsentRefused):
        gate.require_still_standing(decision_snapshot={**stored, **damage})


def test_an_empty_decision_stops_the_job(db: None) -> None:
    with pytest.raises(gate.ConsentRefused):
        gate.require_still_standing(decision_snapshot={})


def test_other_files_than_those_decided_on_are_refused(stored: dict[str, Any]) -> None:
    gate.require_same_files(decision_snapshot=stored, inputs=INPUTS)
    for other in ({**INPUTS, "driver": "c" * 64}, {**INPUTS, "driver2": "b" * 64}, {"portrait": "a" * 64}):
        with pytest.raises(gate.ConsentRefused):
            gate.require_same_files(decision_snapshot=stored, inputs=other)


def test_a_decision_of_the_first_format_is_still_read_and_binds_its_two_files(stored: dict[str, Any]) -> None:
    del stored["inputs"]
    earlier = {**stored, "format": 1, "portrait_sha256": "a" * 64, "driver_sha256": "b" * 64}
    assert gate.require_still_standing(decision_snapshot=earlier).outcome is Verdict.ALLOW
    gate.require_same_files(decision_snapshot=earlier, inputs=INPUTS)
    with pytest.raises(gate.ConsentRefused):
        gate.require_same_files(decision_snapshot=earlier, inputs={**INPUTS, "driver": "c" * 64})
    with pytest.raises(gate.ConsentRefused):
        gate.require_still_standing(decision_snapshot={**earlier, "driver_sha256": ""})


# --- asked of what was rendered ---


def test_the_depicted_person_rendered_passes(stored: dict[str, Any], flat: FlatEngine) -> None:
    assert gate.require_same_faces(decision_snapshot=stored, observed=[seen("rendered:1", (0.4, 0.2))], engine=flat) == []


def test_a_stranger_in_the_rendered_frames_is_refused(stored: dict[str, Any], flat: FlatEngine) -> None:
    with pytest.raises(gate.ConsentRefused, match="rendered:2"):
        gate.require_same_faces(
            decision_snapshot=stored, observed=[seen("rendered:1", (0.1, 0.0)), seen("rendered:2", (1.0, 1.0))], engine=flat
        )


def test_the_performers_own_face_in_the_rendered_frames_is_refused(stored: dict[str, Any], flat: FlatEngine) -> None:
    with pytest.raises(gate.ConsentRefused):
        gate.require_same_faces(decision_snapshot=stored, observed=[seen("rendered:1", (3.0, 0.0))], engine=flat)


def test_a_rendered_clip_without_a_face_is_refused(stored: dict[str, Any], flat: FlatEngine) -> None:
    with pytest.raises(gate.ConsentRefused):
        gate.require_same_faces(decision_snapshot=stored, observed=[], engine=flat)


def test_a_rendered_face_that_cannot_be_matched_is_left_to_a_person(stored: dict[str, Any], flat: FlatEngine) -> None:
    (reason,) = gate.require_same_faces(decision_snapshot=stored, observed=[seen("rendered:1", note="too blurred")], engine=flat)
    assert reason["code"] == "rendered_unmatchable"


@pytest.mark.parametrize(
    "facts", [{"blind_s": 1.1}, {"unclear": np.array([(4.0, 0.0)])}], ids=["a second without a look", "a blurred frame"]
)
def test_a_rendered_stretch_that_shows_nobody_for_sure_is_left_to_a_person(
    facts: dict[str, Any], stored: dict[str, Any], flat: FlatEngine
) -> None:
    (reason,) = gate.require_same_faces(decision_snapshot=stored, observed=[seen("rendered:1", (0.1, 0.0), **facts)], engine=flat)
    assert reason["code"] == "rendered_unmatchable"


def test_a_rendered_face_that_is_somebody_else_while_blurred_is_refused(stored: dict[str, Any], flat: FlatEngine) -> None:
    shown = seen("rendered:1", (0.1, 0.0), unclear=np.array([(0.1, 0.0), *[(4.0, 0.0)] * 3]))
    with pytest.raises(gate.ConsentRefused):
        gate.require_same_faces(decision_snapshot=stored, observed=[shown], engine=flat)


# --- preflight ---


@pytest.fixture
def suggest(studio: Studio, flat: FlatEngine) -> Callable[..., dict[str, UUID]]:
    return lambda *faces: gate.propose(studio_id=studio.id, purpose="film", observed=faces, engine=flat)


def test_preflight_suggests_the_one_person_who_matches(suggest: Callable[..., dict[str, UUID]], pair: dict[str, UUID]) -> None:
    assert suggest(*FACES) == pair


def test_preflight_suggests_nobody_for_a_stranger_and_nobody_between_two(
    suggest: Callable[..., dict[str, UUID]], make_consent: Make
) -> None:
    make_consent((0.0, 0.0))
    make_consent((0.2, 0.0))
    assert suggest(seen("portrait:1", (0.1, 0.0)), seen("portrait:2", (8.0, 0.0))) == {}


def test_preflight_prefers_the_consent_that_covers_the_job(suggest: Callable[..., dict[str, UUID]], make_consent: Make) -> None:
    fitting = make_consent((0.0, 0.0))
    make_consent(None, person=fitting.person, purposes=("news",))
    make_consent(None, person=fitting.person, role=Role.PERFORMER)
    assert suggest(FACES[0]) == {"portrait:1": fitting.id}


def test_preflight_never_looks_into_another_studios_people(
    suggest: Callable[..., dict[str, UUID]], make_consent: Make, other_studio: Studio
) -> None:
    make_consent((0.0, 0.0), of=other_studio)
    assert suggest(FACES[0]) == {}


def test_preflight_passes_over_a_person_who_withdrew(suggest: Callable[..., dict[str, UUID]], make_consent: Make) -> None:
    consent = make_consent((0.0, 0.0))
    services.withdraw_consent(consent_id=consent.id, actor="system")
    assert suggest(FACES[0]) == {}


# --- people of the studio whom nobody named ---


def test_an_enrolled_person_cannot_be_declared_fictional(ask: Ask, pair: dict[str, UUID]) -> None:
    consent_id = pair.pop("portrait:1")
    assessment = ask(pair, declared_fictional=True)
    reason = assessment.decision.reasons[0]
    assert assessment.outcome is Verdict.REFUSE
    assert reason.code == "unnamed"
    assert "enrolled person" in reason.message
    assert str(consent_id) in reason.message


def test_who_withdrew_cannot_be_declared_fictional_either(ask: Ask, pair: dict[str, UUID]) -> None:
    services.withdraw_consent(consent_id=pair.pop("portrait:1"), actor="system:test")
    assessment = ask(pair, declared_fictional=True)
    assert (assessment.outcome, codes(assessment)[0]) == (Verdict.REFUSE, "unnamed")


def test_a_face_like_nobody_of_the_studio_can_be_declared_fictional(ask: Ask, pair: dict[str, UUID], make_consent: Make) -> None:
    del pair["portrait:1"]
    assert codes(ask(pair, seen("portrait:1", (8.0, 8.0)), FACES[1], declared_fictional=True)) == ["declared_fictional"]


def test_a_face_that_several_people_of_the_studio_match_is_said_to_be_so(
    ask: Ask, pair: dict[str, UUID], make_consent: Make
) -> None:
    consent_ids = {pair.pop("portrait:1"), make_consent((0.2, 0.0)).id}
    (reason,) = ask(pair).decision.reasons
    assert reason.code == "unnamed"
    assert "several enrolled people" in reason.message
    assert all(str(consent_id) in reason.message for consent_id in consent_ids)


def test_a_person_of_another_studio_is_not_recognised(
    ask: Ask, pair: dict[str, UUID], make_consent: Make, other_studio: Studio
) -> None:
    make_consent((8.0, 8.0), of=other_studio)
    make_consent((8.0, 8.1), of=other_studio)
    (reason,) = ask(pair, *FACES, seen("driver:2", (8.0, 8.0))).decision.reasons
    assert "No consent was named" in reason.message


def test_a_face_that_nothing_was_found_for_is_named_with_what_can_be_done(ask: Ask, pair: dict[str, UUID]) -> None:
    (reason,) = ask(pair, *FACES, seen("driver:2", (8.0, 8.0))).decision.reasons
    assert (reason.code, reason.face) == ("unnamed", "driver:2")
    for part in ("for driver:2", "Ask this person for consent", "`enroll`", "--consent driver:2=ID", "a file without this face"):
        assert part in reason.message
    assert "you" not in reason.message.split()


# --- faces that come close to somebody ---


NEAR_HER = (0.0, 0.5)


def test_an_unnamed_face_that_comes_close_to_one_person_is_told_whom_and_how_to_be_sure(
    ask: Ask, pair: dict[str, UUID], make_consent: Make
) -> None:
    consent_id = pair.pop("portrait:1")
    farther = make_consent((0.54, 0.5)).person
    farther.display_name = "Eve"
    farther.save()
    assessment = ask(pair, seen("portrait:1", NEAR_HER), FACES[1])
    (reason,) = assessment.decision.reasons
    assert (assessment.outcome, reason.code) == (Verdict.REFUSE, "unnamed")
    assert "resembles Ada closely but not surely" in reason.message
    assert "more photos, from several angles" in reason.message
    assert str(consent_id) in reason.message
    assert "Eve" not in reason.message


def test_the_person_named_by_a_likeness_may_then_be_named_for_a_moderator(ask: Ask, pair: dict[str, UUID]) -> None:
    assessment = ask(pair, seen("portrait:1", NEAR_HER), FACES[1])
    assert (assessment.outcome, codes(assessment)) == (Verdict.REVIEW, ["ambiguous"])
    assert "more photos" in assessment.decision.reasons[0].message


def _withdrawn(consent: Consent) -> None:
    services.withdraw_consent(consent_id=consent.id, actor="system:test")


def _for_another_purpose(consent: Consent) -> None:
    Consent.objects.filter(id=consent.id).update(purposes=["news"])


def _of_another_studio(consent: Consent) -> None:
    other = create_studio(slug="elsewhere", name="Elsewhere")
    Person.objects.filter(id=consent.person_id).update(studio=other)
    Consent.objects.filter(id=consent.id).update(studio=other)


@pytest.mark.parametrize("change", [_withdrawn, _for_another_purpose, _of_another_studio])
def test_nobody_is_named_by_a_likeness_whose_consent_does_not_permit_this_job(
    ask: Ask, pair: dict[str, UUID], change: Callable[[Consent], None]
) -> None:
    change(Consent.objects.get(id=pair.pop("portrait:1")))
    (reason,) = ask(pair, seen("portrait:1", NEAR_HER), FACES[1]).decision.reasons
    assert "Ada" not in reason.message
    assert "No consent was named" in reason.message


def test_a_stranger_is_likened_to_nobody(ask: Ask, pair: dict[str, UUID]) -> None:
    (reason,) = ask(pair, *FACES, seen("driver:2", (0.0, 0.6))).decision.reasons
    assert "resembles" not in reason.message


def test_a_quarter_of_a_second_that_blur_hides_goes_to_a_moderator(ask: Ask, pair: dict[str, UUID]) -> None:
    assert ask(pair, FACES[0], replace(FACES[1], soft_s=0.25)).outcome is Verdict.ALLOW
    assert codes(ask(pair, FACES[0], replace(FACES[1], soft_s=0.26))) == ["ambiguous"]


def test_many_short_moments_in_which_nobody_could_look_go_to_a_moderator(ask: Ask, pair: dict[str, UUID]) -> None:
    long = replace(FACES[1], frames=100, blind_s=0.3)
    assert ask(pair, FACES[0], replace(long, unvouched_frames=20)).outcome is Verdict.ALLOW
    assert codes(ask(pair, FACES[0], replace(long, unvouched_frames=21))) == ["ambiguous"]


def test_a_face_in_doubt_beside_a_covered_one_goes_to_a_moderator_and_can_be_asked_again(ask: Ask, pair: dict[str, UUID]) -> None:
    doubtful = ask(pair, *FACES, seen("portrait:2", (8.0, 8.0), counted_by=CountedBy.DOUBT))
    assert codes(doubtful) == ["doubtful_face"]
    assert doubtful.outcome is Verdict.REVIEW
    again = dict(json.loads(json.dumps(doubtful.snapshot())))
    assert gate.require_still_standing(decision_snapshot=again).outcome is Verdict.REVIEW
