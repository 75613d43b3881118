"""What holds for every request, face and consent there can be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from consent.faces.engine import Band, Thresholds, band_of
from consent.faces.observed import Side
from consent.policy import PURPOSES, WORLD, Assurance, ConsentView, FaceView, Outcome, Request, Role, State, Verdict, decide

NOW = datetime(2026, 6, 1, tzinfo=UTC)
STUDIOS = [UUID(int=1), UUID(int=2)]
purposes = st.sampled_from(sorted(PURPOSES))
territories = st.frozensets(st.sampled_from(["DE", "FR", "US", WORLD]), max_size=3)
days = st.integers(-3, 3).map(lambda n: NOW + timedelta(days=n))
consents = st.builds(
    ConsentView,
    id=st.uuids(),
    studio_id=st.sampled_from(STUDIOS),
    role=st.sampled_from(Role),
    state=st.sampled_from([State.GIVEN, *State]),
    assurance=st.sampled_from(Assurance),
    purposes=st.frozensets(purposes, max_size=4),
    territories=territories,
    voice=st.booleans(),
    valid_from=days,
    valid_until=days,
)
faces = st.builds(
    FaceView,
    name=st.just("f"),
    side=st.sampled_from([Side.PORTRAIT, Side.DRIVER]),
    named=st.booleans(),
    consent=st.none() | consents,
    band=st.sampled_from([None, *Band]),
    matchable=st.booleans(),
    hidden=st.booleans(),
    recorded=st.booleans(),
    origin=st.none() | consents,
)
requests = st.builds(
    Request, studio_id=st.sampled_from(STUDIOS), purpose=purposes, territories=territories, declared_fictional=st.booleans()
)


def fully_covered(request: Request, face: FaceView) -> bool:
    """Coverage said a second time, in other words than the rules themselves."""
    c = face.consent
    if c is None or not face.named or face.hidden or not face.matchable or face.band is not Band.MATCH:
        return False
    wanted = request.territories or {WORLD}
    if face.recorded and not recording_counts(face.origin, c):
        return False
    return (
        c.studio_id == request.studio_id
        and c.state == "given"
        and c.valid_from <= NOW < c.valid_until
        and request.purpose in c.purposes
        and (c.assurance != "attested" or request.purpose == "internal_test")
        and c.role in {"both", "depicted" if face.side == "portrait" else "performer"}
        and (WORLD in c.territories or wanted <= c.territories)
    )


def recording_counts(origin: ConsentView | None, named: ConsentView) -> bool:
    levels = ["attested", "captured", "reviewed", "identified"]
    return (
        origin is not None
        and origin.studio_id == named.studio_id
        and origin.state in {"given", "expired"}
        and levels.index(origin.assurance) >= levels.index(named.assurance)
    )


@given(requests, st.lists(faces, max_size=4))
def test_no_job_with_an_uncovered_face_is_ever_allowed(request: Request, shown: list[FaceView]) -> None:
    decision = decide(request, shown, NOW)
    both_sides = {face.side for face in shown} == {Side.PORTRAIT, Side.DRIVER}
    expected = both_sides and not request.declared_fictional and all(fully_covered(request, face) for face in shown)
    assert (decision.outcome is Verdict.ALLOW) == expected


@given(requests, st.lists(faces, min_size=1, max_size=4), faces)
def test_one_more_face_never_makes_a_decision_milder(request: Request, shown: list[FaceView], more: FaceView) -> None:
    order = [Verdict.ALLOW, Verdict.REVIEW, Verdict.REFUSE]
    sides = {face.side for face in shown}
    before, after = (decide(request, some, NOW).outcome for some in (shown, [*shown, more]))
    if sides == {Side.PORTRAIT, Side.DRIVER}:
        assert order.index(after) >= order.index(before)


@given(requests, faces)
def test_whatever_is_not_covered_names_its_face_and_a_fix(request: Request, face: FaceView) -> None:
    decision = decide(request, [face], NOW)
    (decided,) = decision.faces
    codes = {reason.code for reason in decision.reasons if reason.face == face.name}
    assert codes == (set() if decided.outcome is Outcome.COVERED else {decided.outcome})
    assert all(reason.message.endswith(".") for reason in decision.reasons)


@given(requests, consents, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_a_consent_that_expired_stays_expired(request: Request, consent: ConsentView, later: timedelta) -> None:
    face = FaceView("f", Side.PORTRAIT, named=True, consent=consent, band=Band.MATCH)
    decided = decide(request, [face], consent.valid_until + later).faces[0]
    assert decided.outcome is not Outcome.COVERED


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(0.01, 1.0), st.floats(0.0, 1.0))
def test_a_band_is_right_for_every_number_there_is(distance: float, match: float, wider: float) -> None:
    band = band_of(distance, Thresholds(match, match + wider))
    assert (band is Band.MATCH) == (0.0 <= distance <= match)
    assert (band is Band.NONE) == (not 0.0 <= distance <= match + wider)
