"""The rules of consent, as pure functions: who is shown, what their consents say, what is asked for -> a decision.

Every face needs the one consent that the job names for it, verified one to one. Whatever is missing, malformed or in doubt
never allows: an empty request, an empty list of faces and an empty scope refuse.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from consent.faces.engine import Band
from consent.faces.observed import Side
from consent.wording import FIX, RESEMBLES

POLICY_VERSION = "2026-11-3"

COMMERCIAL_PURPOSES = frozenset({"film", "advertising", "education", "news", "parody"})
OTHER_PURPOSES = frozenset({"personal", "research", "internal_test"})
PURPOSES = COMMERCIAL_PURPOSES | OTHER_PURPOSES
ATTESTED_PURPOSES = frozenset({"internal_test"})
LEAD_DRIVER = "driver"  # the part before the colon in the names of its faces; further drivers are driver2, driver3 ...
WORLD = "001"  # UN M49: the whole world. An empty list of territories grants nothing


class State(enum.StrEnum):
    """The life of a consent."""

    REQUESTED = "requested"
    GIVEN = "given"
    SUSPENDED = "suspended"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    TERMINATED = "terminated"
    DECLINED = "declined"


class Role(enum.StrEnum):
    """What the person agreed to: to be depicted, to drive as performer, or both."""

    DEPICTED = "depicted"
    PERFORMER = "performer"
    BOTH = "both"


class Assurance(enum.StrEnum):
    """How far it is proven that the person themself agreed, weakest first."""

    ATTESTED = "attested"
    CAPTURED = "captured"
    REVIEWED = "reviewed"
    IDENTIFIED = "identified"


ASSURANCE_ORDER = tuple(Assurance)


class Verdict(enum.StrEnum):
    """What a decision says."""

    ALLOW = "allow"
    REVIEW = "review"
    REFUSE = "refuse"


class Outcome(enum.StrEnum):
    """What was found for one face. Also the code of its reason."""

    COVERED = "covered"
    AMBIGUOUS = "ambiguous"
    DECLARED_FICTIONAL = "declared_fictional"
    DOUBTFUL = "doubtful_face"
    UNNAMED = "unnamed"
    UNKNOWN = "unknown"
    HIDDEN = "hidden_face"
    UNMATCHABLE = "unmatchable"
    NO_TEMPLATE = "no_template"
    MISMATCH = "mismatch"
    NOT_GIVEN = "not_given"
    SUSPENDED = "suspended"
    WITHDRAWN = "withdrawn"
    TERMINATED = "terminated"
    EXPIRED = "expired"
    NOT_STARTED = "not_started"
    OUT_OF_SCOPE = "out_of_scope"
    TEMPLATE_ENDED = "template_ended"


FOR_REVIEW = frozenset({Outcome.AMBIGUOUS, Outcome.DECLARED_FICTIONAL, Outcome.DOUBTFUL})
STATE_OUTCOMES = {
    State.REQUESTED: Outcome.NOT_GIVEN,
    State.DECLINED: Outcome.NOT_GIVEN,
    State.SUSPENDED: Outcome.SUSPENDED,
    State.WITHDRAWN: Outcome.WITHDRAWN,
    State.TERMINATED: Outcome.TERMINATED,
    State.EXPIRED: Outcome.EXPIRED,
}
MOVES = {
    State.REQUESTED: frozenset({State.GIVEN, State.DECLINED}),
    State.GIVEN: frozenset({State.SUSPENDED, State.WITHDRAWN, State.EXPIRED, State.TERMINATED}),
    State.SUSPENDED: frozenset({State.GIVEN, State.WITHDRAWN, State.EXPIRED, State.TERMINATED}),
}
"""The moves a consent can make; a state that is no key is an end."""

DOUBTFUL_FIX = "{face} may be a face that is half covered. Wait for a moderator to look, or send a picture without it."
SEVERAL_PEOPLE_FIX = (
    "{face} matches several enrolled people of the studio. "
    "Name the consent of the one who is shown for {face}; their consents are {detail}."
)
REAL_PERSON_FIX = (
    "{face} is declared fictional and matches an enrolled person of the studio. Name this person's consent {detail} for {face}."
)

ROLES_OF_SIDE = {
    Side.PORTRAIT: frozenset({Role.DEPICTED, Role.BOTH}),
    Side.DRIVER: frozenset({Role.PERFORMER, Role.BOTH}),
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a job asks for. No territory named means the whole world."""

    studio_id: UUID
    purpose: str
    territories: frozenset[str] = frozenset()
    declared_fictional: bool = False


@dataclass(frozen=True, slots=True)
class ConsentView:
    """What the rules read of a consent. valid_until is exclusive; both times carry a zone."""

    id: UUID
    studio_id: UUID
    role: Role
    state: State
    assurance: Assurance
    purposes: frozenset[str]
    territories: frozenset[str]
    voice: bool
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Likeness:
    """A person of the studio who consented to the job, and whom a face comes close to: their name and that consent."""

    person: str
    consent_id: UUID


@dataclass(frozen=True, slots=True)
class FaceView:
    """What the rules read of a face.

    named: the job names a consent for it. consent: that consent, None when there is none of this id. band: how the face
    compares with that consent's template; None when it was not compared, for want of a template. known_as: for an unnamed face,
    a consent of each of the studio's own people that it matches. resembles: for one that matches nobody, whom it comes close to.
    doubtful: it may be half a face, or none.
    recorded: no picture shows it, a motion template that we signed holds its landmarks; origin: the consent it was recorded
    under, None when there is none of this id. `band` then says whether that is the person of the named consent.
    note: why it cannot be matched, or which template it comes from.
    """

    name: str
    side: Side
    named: bool = False
    consent: ConsentView | None = None
    band: Band | None = None
    matchable: bool = True
    hidden: bool = False
    doubtful: bool = False
    note: str = ""
    known_as: tuple[UUID, ...] = ()
    resembles: Likeness | None = None
    recorded: bool = False
    origin: ConsentView | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a decision is not `allow`. The message ends with what to do."""

    code: str
    message: str
    face: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Return the shape that commands and the API show."""
        return {"code": self.code, "message": self.message, "face": self.face}


@dataclass(frozen=True, slots=True)
class FaceDecision:
    """What was decided for one face. `message` is empty when it is covered.

    recorded_under: of a motion template, the consent it was recorded under.
    """

    face: str
    side: Side
    outcome: Outcome
    consent_id: UUID | None = None
    message: str = ""
    recorded_under: UUID | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for a job. `voice`: whether the lead driver's sound may be carried, for all who are seen in it agreed to it."""

    outcome: Verdict
    faces: tuple[FaceDecision, ...]
    reasons: tuple[Reason, ...]
    voice: bool = False
    policy_version: str = POLICY_VERSION


def decide(request: Request, faces: Sequence[FaceView], now: datetime, extra_reasons: Sequence[Reason] = ()) -> Decision:
    """Decide a job. Allows only when a face is on each side, every face is covered and nothing else speaks against it.

    `extra_reasons` (a second video stream, a name without a face, ...) always refuse.
    """
    decided = tuple(decide_face(request, face, now) for face in faces)
    refusing = [*request_reasons(request), *missing_sides(faces), *extra_reasons]
    refusing += [_reason(face) for face in decided if face.outcome not in FOR_REVIEW and face.outcome is not Outcome.COVERED]
    review = [_reason(face) for face in decided if face.outcome in FOR_REVIEW]
    if request.declared_fictional and not review:
        review = [Reason("declared_fictional", FIX["declared_fictional"])]
    verdict = Verdict.REFUSE if refusing else Verdict.REVIEW if review else Verdict.ALLOW
    return Decision(verdict, decided, (*refusing, *review), voice=voice_covered(faces))


def decide_face(request: Request, face: FaceView, now: datetime) -> FaceDecision:
    """Decide one face, in this order: seen at all, named, standing, in scope, same person."""
    outcome, detail = _judge(request, face, now)
    message = "" if outcome is Outcome.COVERED else _message(request, face, outcome, detail)
    consent_id = face.consent.id if face.consent else None
    return FaceDecision(face.name, face.side, outcome, consent_id, message, face.origin.id if face.origin else None)


def _message(request: Request, face: FaceView, outcome: Outcome, detail: str) -> str:
    alike = face.resembles
    if outcome is Outcome.UNNAMED and alike:
        return RESEMBLES.format(face=face.name, person=alike.person, consent=alike.consent_id)
    return _fix_of(request, face, outcome).format(face=face.name, detail=detail)


def _fix_of(request: Request, face: FaceView, outcome: Outcome) -> str:
    if outcome is Outcome.DOUBTFUL:
        return DOUBTFUL_FIX
    if outcome is not Outcome.UNNAMED or not face.known_as:
        return FIX[outcome]
    if len(face.known_as) > 1:
        return SEVERAL_PEOPLE_FIX
    return REAL_PERSON_FIX if request.declared_fictional and face.side is Side.PORTRAIT else FIX[outcome]


def _judge(request: Request, face: FaceView, now: datetime) -> tuple[Outcome, str]:
    if face.hidden:
        return Outcome.HIDDEN, ""
    if not face.named:
        return _judge_unnamed(request, face)
    if face.consent is None:
        return Outcome.UNKNOWN, ""
    standing = standing_of(request, face.side, face.consent, now)
    if standing is not None:
        return standing
    ended = origin_problem(face.origin, request.studio_id, face.consent.assurance) if face.recorded else ""
    if ended:
        return Outcome.TEMPLATE_ENDED, _of_template(face, ended)
    if not face.matchable:
        return Outcome.UNMATCHABLE, face.note or "no usable view"
    return _identity_of(face), ""


def _judge_unnamed(request: Request, face: FaceView) -> tuple[Outcome, str]:
    if face.doubtful:
        return Outcome.DOUBTFUL, ""
    # a performer stood before a camera: only a still can be declared drawn, and never one of the studio's own people
    if request.declared_fictional and face.side is Side.PORTRAIT and not face.known_as:
        return Outcome.DECLARED_FICTIONAL, ""
    # a recording whose consent ended is proposed for nobody: that it ended is what has to be said
    ended = origin_problem(face.origin, request.studio_id) if face.recorded else ""
    if ended:
        return Outcome.TEMPLATE_ENDED, _of_template(face, ended)
    if not face.matchable:
        return Outcome.UNMATCHABLE, face.note or "no usable view"
    return Outcome.UNNAMED, ", ".join(str(consent_id) for consent_id in face.known_as)


def _of_template(face: FaceView, ended: str) -> str:
    return f"{face.note or 'a motion template'}, which cannot be used: {ended}"


def _identity_of(face: FaceView) -> Outcome:
    if face.band is None:
        return Outcome.NO_TEMPLATE
    return {Band.MATCH: Outcome.COVERED, Band.REVIEW: Outcome.AMBIGUOUS}.get(face.band, Outcome.MISMATCH)


def origin_problem(origin: ConsentView | None, studio_id: UUID, used_as: Assurance = Assurance.ATTESTED) -> str:
    """Return what speaks against a motion template recorded under `origin`, in words, or nothing.

    used_as: the assurance of the consent that it is used under; left out, the lowest.
    A recording outlives the term of its consent, for another consent of the same person; it does not outlive a withdrawal.
    """
    if origin is None or origin.studio_id != studio_id:
        return "the consent it was recorded under is not one of this studio"
    if origin.state not in {State.GIVEN, State.EXPIRED}:
        return f"the consent it was recorded under is {origin.state}"
    if ASSURANCE_ORDER.index(origin.assurance) < ASSURANCE_ORDER.index(used_as):
        return f"it was recorded under a consent that is only {origin.assurance}"
    return ""


def standing_of(request: Request, side: Side, consent: ConsentView, now: datetime) -> tuple[Outcome, str] | None:
    """Return what speaks against a consent whatever the pixels show, with its detail; None when it stands and covers."""
    if consent.studio_id != request.studio_id:
        return Outcome.UNKNOWN, ""  # another studio's consent reads like none at all
    if consent.state is not State.GIVEN:
        return STATE_OUTCOMES[consent.state], ""
    if now < consent.valid_from:
        return Outcome.NOT_STARTED, consent.valid_from.date().isoformat()
    if now >= consent.valid_until:
        return Outcome.EXPIRED, ""
    problem = scope_problem(request, side, consent)
    return (Outcome.OUT_OF_SCOPE, problem) if problem else None


def scope_problem(request: Request, side: Side, consent: ConsentView) -> str:
    """Return what of the request the consent leaves out, in words; empty when it covers all of it."""
    if consent.role not in ROLES_OF_SIDE.get(side, frozenset()):
        return f"the consent is for the role {consent.role}"
    if request.purpose not in consent.purposes:
        return f"the purpose {request.purpose} is not among those agreed to"
    if consent.assurance is Assurance.ATTESTED and request.purpose not in ATTESTED_PURPOSES:
        return f"an attested consent never covers the purpose {request.purpose}"
    asked = request.territories or frozenset({WORLD})
    outside = frozenset() if WORLD in consent.territories else asked - consent.territories
    if outside:
        names = ", ".join("the whole world" if code == WORLD else code for code in sorted(outside))
        return f"the territory asked for ({names}) is not among those agreed to"
    return ""


def request_reasons(request: Request) -> tuple[Reason, ...]:
    """Return what is wrong with a request itself."""
    if request.purpose in PURPOSES:
        return ()
    return (Reason("unknown_purpose", FIX["unknown_purpose"].format(detail=", ".join(sorted(PURPOSES)))),)


def missing_sides(faces: Sequence[FaceView]) -> tuple[Reason, ...]:
    """Return a reason for each side that shows no face: a job without faces is not one where all are covered."""
    present = {face.side for face in faces}
    return tuple(Reason(f"no_{side}_face", FIX["no_face"].format(detail=side)) for side in ROLES_OF_SIDE if side not in present)


def voice_covered(faces: Sequence[FaceView]) -> bool:
    """Whether the consents named for the faces of the lead driver, whose sound is carried, all cover voice; false without any."""
    performers = [face for face in faces if face.side is Side.DRIVER and face.name.partition(":")[0] == LEAD_DRIVER]
    return bool(performers) and all(face.consent is not None and face.consent.voice for face in performers)


def commercial_model_reason(purpose: str, *, model_allows: bool) -> tuple[Reason, ...]:
    """Return a reason when a commercial purpose would run on a model licensed for other use only."""
    if model_allows or purpose not in COMMERCIAL_PURPOSES:
        return ()
    return (Reason("model_licence", FIX["model_licence"].format(detail=purpose)),)


def _reason(face: FaceDecision) -> Reason:
    return Reason(str(face.outcome), face.message, face.face)
