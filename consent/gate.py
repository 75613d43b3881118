"""The one door of consent. It is asked before a job is accepted, before rendering, and before release.

Whatever it raises stops the job. Distances are computed here, turned into bands at once, and never stored or logged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from consent import policy, selectors
from consent.comparison import band_of_unclear, compare, long_blind, shows
from consent.errors import ConsentError
from consent.faces.engine import Band, Embedding, EngineConfig, FaceEngine, load_engine
from consent.faces.observed import CountedBy, ObservedFace, Side
from consent.models import Consent
from consent.policy import Decision, FaceDecision, FaceView, Likeness, Outcome, Reason, Request, Verdict
from consent.snapshots import Snapshot, is_bound
from consent.wording import FIX


class ConsentRefused(ConsentError):
    """The rules say no. `decision` tells which face and what to do."""

    code = "consent_refused"

    def __init__(self, decision: Decision) -> None:
        super().__init__(" ".join(reason.message for reason in decision.reasons) or "Consent is missing; ask for it.")
        self.decision = decision


@dataclass(frozen=True, slots=True)
class Assessment:
    """A decision, and exactly what it was made for."""

    decision: Decision
    request: Request
    inputs: Mapping[str, str]
    engine_id: str
    decided_at: datetime

    @property
    def outcome(self) -> Verdict:
        """What the decision says."""
        return self.decision.outcome

    @property
    def policy_version(self) -> str:
        """Which version of the rules decided."""
        return self.decision.policy_version

    def reasons_as_dicts(self) -> list[dict[str, str | None]]:
        """The reasons in the shape that commands and the API show."""
        return [reason.as_dict() for reason in self.decision.reasons]

    def snapshot(self) -> dict[str, Any]:
        """The decision as JSON, to be stored with the job: no scores, no embeddings, no names."""
        return Snapshot.of(self.decision, self.request, self.inputs, self.engine_id, self.decided_at).to_json()


@dataclass(frozen=True, slots=True)
class _Templates:
    """Opens the templates of one check; each is opened once and forgotten with the check."""

    engine: FaceEngine
    now: datetime
    opened: dict[UUID, Embedding | None] = field(default_factory=dict, repr=False)

    def of(self, consent: Consent) -> Embedding | None:
        """The template that a consent may be verified with, None when there is none."""
        if consent.id not in self.opened:
            needed = policy.Assurance(consent.assurance)
            row = selectors.template_for(
                person_id=consent.person_id, engine_id=self.engine.model.id, at_least=needed, now=self.now
            )
            self.opened[consent.id] = None if row is None else selectors.open_template(row)
        return self.opened[consent.id]


def face_engine() -> FaceEngine:
    """Return the engine that the settings select. Raises FaceEngineError."""
    root = Path(settings.INSIGHTFACE_ROOT) if settings.INSIGHTFACE_ROOT else None
    return load_engine(EngineConfig(name=settings.FACE_ENGINE, pack_root=root, pack_name=settings.INSIGHTFACE_PACK))


def assess(
    *,
    studio_id: UUID,
    purpose: str,
    territories: Iterable[str],
    declared_fictional: bool,
    named: Mapping[str, UUID],
    observed: Sequence[ObservedFace],
    extra_reasons: Sequence[Reason] = (),
    inputs: Mapping[str, str],
    now: datetime | None = None,
    engine: FaceEngine | None = None,
) -> Assessment:
    """Decide a job: each observed face against the one consent that `named` gives for it.

    inputs: SHA-256 of each normalised file that `observed` was seen in, by the part of a face's name before its colon.
    Raises what the engine and the templates raise: no answer is no permission.
    """
    moment = now or timezone.now()
    matcher = engine or face_engine()
    request = Request(studio_id, purpose, frozenset(territories), declared_fictional)
    templates = _Templates(matcher, moment)
    consents = selectors.consents_by_id(ids=[*named.values(), *_recorded_under(observed)])
    views = [_view(face, named, consents, templates, request) for face in observed]
    extra = [
        *extra_reasons,
        *policy.commercial_model_reason(purpose, model_allows=matcher.model.commercial_use),
        *_names_without_face(named, observed),
        *_unbound(inputs, observed),
    ]
    decision = policy.decide(request, views, moment, extra)
    return Assessment(decision, request, inputs, matcher.model.id, moment)


def require_not_refused(assessment: Assessment) -> Assessment:
    """Return an assessment that allows or leaves the answer to a moderator. Raises ConsentRefused otherwise."""
    if assessment.outcome not in {Verdict.ALLOW, Verdict.REVIEW}:
        raise ConsentRefused(assessment.decision)
    return assessment


def require_same_files(*, decision_snapshot: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
    """Check that the normalised files about to be rendered are those decided on, all and no other. Raises ConsentRefused."""
    if dict(_read(decision_snapshot).inputs) != dict(inputs):
        raise _refused([Reason("changed_input", FIX["changed_input"])])


def require_still_standing(*, decision_snapshot: Mapping[str, Any], now: datetime | None = None, lock: bool = False) -> Decision:
    """Ask again, without pixels: do the named consents stand and cover the job now?

    lock: hold the consents until the caller's transaction ends, so that a withdrawal comes before it or after it.

    A stored decision for review passes here: whether a moderator approved it is the job's to know. Returns today's decision
    (whether the sound may be carried can have changed). Raises ConsentRefused.
    """
    snapshot = _read(decision_snapshot)
    moment = now or timezone.now()
    consents = selectors.consents_by_id(ids=snapshot.consent_ids, lock=lock)
    # the pixels were judged before; what they said is kept, what the consent says is asked again
    views = [_standing_view(face, consents) for face in snapshot.faces]
    decision = policy.decide(snapshot.request, views, moment)
    if decision.outcome is Verdict.REFUSE:
        raise ConsentRefused(decision)
    return decision


def require_same_faces(
    *,
    decision_snapshot: Mapping[str, Any],
    observed: Sequence[ObservedFace],
    now: datetime | None = None,
    engine: FaceEngine | None = None,
) -> list[dict[str, str | None]]:
    """Check that the rendered frames show the people who were cleared as depicted, and nobody else. Raises ConsentRefused.

    Up to the review threshold counts as the same here: the still itself was matched, and animation moves the face.
    Returns reasons for which a person has to look before release: faces that could not be matched, some of the time or ever.
    """
    if not observed:
        raise _refused([Reason("rendered_no_face", FIX["rendered_no_face"])])
    portraits = [face for face in _read(decision_snapshot).faces if face.side is Side.PORTRAIT]
    matcher = engine or face_engine()
    cleared = _cleared_templates(portraits, _Templates(matcher, now or timezone.now()))
    problems = [reason for face in observed if (reason := _rendered_problem(face, cleared, matcher))]
    strangers = [reason for reason in problems if reason.code == "rendered_mismatch"]
    # faces declared fictional have no template: as many may stay unmatched
    if len(strangers) > sum(face.outcome is Outcome.DECLARED_FICTIONAL for face in portraits):
        raise _refused(strangers)
    return [reason.as_dict() for reason in problems if reason not in strangers]


def require_performer(*, decision_snapshot: Mapping[str, Any], face: str) -> UUID:
    """Return the consent of a driving face that a stored decision covers beyond doubt. Raises ConsentRefused for any other."""
    for decided in _read(decision_snapshot).faces:
        seen = decided.side is Side.DRIVER and decided.recorded_under is None
        if decided.face == face and seen and decided.outcome is Outcome.COVERED and decided.consent_id:
            return decided.consent_id
    raise _refused([Reason("not_a_cleared_performer", FIX["not_a_cleared_performer"].format(face=face), face)])


def _cleared_templates(portraits: Sequence[FaceDecision], templates: _Templates) -> list[Embedding]:
    consents = selectors.consents_by_id(ids=[face.consent_id for face in portraits if face.consent_id])
    opened = [templates.of(consent) for consent in consents.values()]
    return [template for template in opened if template is not None]


def propose(
    *,
    studio_id: UUID,
    purpose: str,
    observed: Sequence[ObservedFace],
    territories: Iterable[str] = (),
    now: datetime | None = None,
    engine: FaceEngine | None = None,
) -> dict[str, UUID]:
    """Suggest a consent of the studio for each face that matches exactly one of its people. The job commits to it, not this.

    Among that person's given consents the newest in scope is suggested; else the newest, whose refusal then says why.
    """
    moment = now or timezone.now()
    templates = _Templates(engine or face_engine(), moment)
    request = Request(studio_id, purpose, frozenset(territories))
    given = selectors.given_consents(studio_id=studio_id)
    proposals = {face.name: _proposal(face, given, templates, request) for face in observed if not face.hidden}
    return {name: consent_id for name, consent_id in proposals.items() if consent_id is not None}


def _proposal(face: ObservedFace, given: Sequence[Consent], templates: _Templates, request: Request) -> UUID | None:
    fits = _fitting(face, given, templates)
    if len({consent.person_id for consent in fits}) != 1:
        return None  # nobody, or several people: the studio has to say who it is
    return _best_of(fits, face, templates, request).id


def _fitting(face: ObservedFace, given: Sequence[Consent], templates: _Templates) -> list[Consent]:
    """Return the consents whose person the face matches, or whose motion the template is."""
    if face.recorded_under is not None:
        performers = {origin.person_id for origin in selectors.consents_by_id(ids=[face.recorded_under]).values()}
        return [consent for consent in given if consent.person_id in performers]
    if face.embedding is None:
        return []
    return [consent for consent in given if _matches(face, templates.of(consent), templates.engine)]


def _best_of(fits: Sequence[Consent], face: ObservedFace, templates: _Templates, request: Request) -> Consent:
    """Return, of one person's consents, newest first, the one to name for a face."""
    in_scope = [c for c in fits if policy.standing_of(request, face.side, selectors.view_of(c), templates.now) is None]
    in_role = [c for c in fits if policy.Role(c.role) in policy.ROLES_OF_SIDE[face.side]]
    return (in_scope or in_role or fits)[0]


def _matches(face: ObservedFace, template: Embedding | None, engine: FaceEngine) -> bool:
    return template is not None and compare(face, template, engine) is Band.MATCH


def _view(
    face: ObservedFace, named: Mapping[str, UUID], consents: Mapping[UUID, Consent], templates: _Templates, request: Request
) -> FaceView:
    origin = _origin_of(face, consents)
    view = FaceView(
        face.name,
        face.side,
        matchable=face.embedding is not None or face.recorded_under is not None,
        hidden=face.hidden,
        doubtful=face.counted_by is CountedBy.DOUBT,
        note=face.note,
        recorded=face.recorded_under is not None,
        origin=selectors.view_of(origin) if origin else None,
    )
    if face.name not in named:
        known_as = _known_as(face, templates, request)
        return replace(view, known_as=known_as, resembles=None if known_as else _resembled(face, templates, request))
    consent = consents.get(named[face.name])
    if consent is None or consent.studio_id != request.studio_id:
        return replace(view, named=True)  # another studio's template is not even opened
    terms = selectors.view_of(consent)
    # a consent that does not stand is refused unseen: nobody is compared without need
    stands = policy.standing_of(request, face.side, terms, templates.now) is None
    return replace(view, named=True, consent=terms, band=_band_of(face, consent, origin, templates) if stands else None)


def _origin_of(face: ObservedFace | FaceDecision, consents: Mapping[UUID, Consent]) -> Consent | None:
    """Return the consent that a face's motion template was recorded under."""
    return consents.get(face.recorded_under) if face.recorded_under else None


def _band_of(face: ObservedFace, named: Consent, origin: Consent | None, templates: _Templates) -> Band | None:
    """Return how a face compares with the person of its named consent, None for want of a face template."""
    if face.recorded_under is not None:  # there is no picture to compare: the signed file says whose motion it is
        return Band.MATCH if origin and origin.person_id == named.person_id else Band.NONE
    template = templates.of(named)
    return None if template is None else compare(face, template, templates.engine)


def _known_as(face: ObservedFace, templates: _Templates, request: Request) -> tuple[UUID, ...]:
    """Return, for an unnamed face, the consent to name for each of the studio's own people that it matches."""
    if face.hidden:
        return ()
    by_person: dict[UUID, list[Consent]] = {}
    # ended consents too: who withdrew is not nobody, and cannot be declared fictional
    for consent in _fitting(face, selectors.consents_with_templates(studio_id=request.studio_id), templates):
        by_person.setdefault(consent.person_id, []).append(consent)
    return tuple(_best_of(fits, face, templates, request).id for fits in by_person.values())


def _resembled(face: ObservedFace, templates: _Templates, request: Request) -> Likeness | None:
    """Return the nearest of the studio's own people who consented to this job, when a face comes close to one of them.

    A studio learns nothing that naming this consent would not tell it. Strangers, other studios' people and those whose consent
    does not stand are neither compared nor named (misuse register A13, A14).
    """
    looked_at = face.embedding
    if face.hidden or looked_at is None:
        return None
    close: list[tuple[float, Consent]] = []
    for consent in selectors.given_consents(studio_id=request.studio_id):
        stands = policy.standing_of(request, face.side, selectors.view_of(consent), templates.now) is None
        template = templates.of(consent) if stands else None
        if template is not None and compare(face, template, templates.engine) is Band.REVIEW:
            close.append((templates.engine.distance(looked_at, template), consent))
    if not close:
        return None
    nearest = min(close, key=lambda pair: pair[0])[1]
    return Likeness(nearest.person.display_name, nearest.id)


def _standing_view(face: FaceDecision, consents: Mapping[UUID, Consent]) -> FaceView:
    bands = {Outcome.COVERED: Band.MATCH, Outcome.AMBIGUOUS: Band.REVIEW}
    consent = consents.get(face.consent_id) if face.consent_id else None
    origin = _origin_of(face, consents)
    return FaceView(
        face.face,
        face.side,
        named=face.consent_id is not None,
        consent=selectors.view_of(consent) if consent else None,
        band=bands.get(face.outcome, Band.NONE),
        hidden=face.outcome is Outcome.HIDDEN,
        doubtful=face.outcome is Outcome.DOUBTFUL,
        recorded=face.recorded_under is not None,
        origin=selectors.view_of(origin) if origin else None,
    )


def _recorded_under(observed: Sequence[ObservedFace]) -> list[UUID]:
    return [face.recorded_under for face in observed if face.recorded_under is not None]


def _rendered_problem(face: ObservedFace, cleared: Sequence[Embedding], engine: FaceEngine) -> Reason | None:
    if face.embedding is None:
        return _rendered_unmatchable(face, face.note or "no usable view")
    shown = [template for template in cleared if shows(face, template, engine)]
    if not shown:
        return Reason("rendered_mismatch", FIX["rendered_mismatch"].format(face=face.name), face.name)
    if long_blind(face):
        return _rendered_unmatchable(face, f"for {face.blind_s:.1f} seconds no view shows who it is")
    if not any(band_of_unclear(face, template, engine) is Band.MATCH for template in shown):
        return _rendered_unmatchable(face, "some frames are too blurred to tell")
    return None


def _rendered_unmatchable(face: ObservedFace, note: str) -> Reason:
    return Reason("rendered_unmatchable", FIX["rendered_unmatchable"].format(face=face.name, detail=note), face.name)


def _names_without_face(named: Mapping[str, UUID], observed: Sequence[ObservedFace]) -> list[Reason]:
    missing = sorted(set(named) - {face.name for face in observed})
    return [Reason("name_without_face", FIX["name_without_face"].format(face=name), name) for name in missing]


def _unbound(inputs: Mapping[str, str], observed: Sequence[ObservedFace]) -> list[Reason]:
    # a decision that is bound to nothing would hold for any file
    seen_in = {face.name.partition(":")[0] for face in observed}
    return [] if is_bound(inputs) and seen_in <= set(inputs) else [Reason("changed_input", FIX["changed_input"])]


def _read(stored: Mapping[str, Any]) -> Snapshot:
    snapshot = Snapshot.from_json(stored)
    if snapshot is None or snapshot.outcome is Verdict.REFUSE:
        raise _refused([Reason("unsupported_decision", FIX["unsupported_decision"])])
    return snapshot


def _refused(reasons: Sequence[Reason]) -> ConsentRefused:
    return ConsentRefused(Decision(Verdict.REFUSE, (), tuple(reasons)))
