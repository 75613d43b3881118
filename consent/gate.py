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

import numpy as np
from django.conf import settings
from django.utils import timezone

from consent import policy, selectors
from consent.errors import ConsentError
from consent.faces.engine import Band, Embedding, EngineConfig, FaceEngine, band_of, load_engine
from consent.faces.observed import CountedBy, ObservedFace, Side
from consent.faces.tracks import SAMPLE_EVERY_FRAMES
from consent.models import Consent
from consent.policy import Decision, FaceDecision, FaceView, Outcome, Reason, Request, Verdict
from consent.snapshots import Snapshot
from consent.wording import FIX

BLIND_FRAMES_MAX = 30  # a second in which nobody saw who it is goes to a person
UNVOUCHED_SHARE_MAX = 0.2  # of a person's frames: many short moments in which nobody saw who it is add up
WINDOW_FRAMES = 16
WINDOW_SAMPLES = 3  # judged together, so that somebody else inside a track cannot hide in the mean


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
    portrait_sha256: str
    driver_sha256: str
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
        return Snapshot.of(
            self.decision, self.request, self.portrait_sha256, self.driver_sha256, self.engine_id, self.decided_at
        ).to_json()


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
    portrait_sha256: str,
    driver_sha256: str,
    now: datetime | None = None,
    engine: FaceEngine | None = None,
) -> Assessment:
    """Decide a job: each observed face against the one consent that `named` gives for it.

    The digests are those of the normalised files that `observed` was seen in. Raises what the engine and the templates raise:
    no answer is no permission.
    """
    moment = now or timezone.now()
    matcher = engine or face_engine()
    request = Request(studio_id, purpose, frozenset(territories), declared_fictional)
    templates = _Templates(matcher, moment)
    consents = selectors.consents_by_id(ids=named.values())
    views = [_view(face, named, consents, templates, request) for face in observed]
    extra = [
        *extra_reasons,
        *policy.commercial_model_reason(purpose, model_allows=matcher.model.commercial_use),
        *_names_without_face(named, observed),
        *_unbound(portrait_sha256, driver_sha256),
    ]
    decision = policy.decide(request, views, moment, extra)
    return Assessment(decision, request, portrait_sha256, driver_sha256, matcher.model.id, moment)


def require_not_refused(assessment: Assessment) -> Assessment:
    """Return an assessment that allows or leaves the answer to a moderator. Raises ConsentRefused otherwise."""
    if assessment.outcome not in {Verdict.ALLOW, Verdict.REVIEW}:
        raise ConsentRefused(assessment.decision)
    return assessment


def require_same_files(*, decision_snapshot: Mapping[str, Any], portrait_sha256: str, driver_sha256: str) -> None:
    """Check that the normalised files about to be rendered are those decided on. Raises ConsentRefused."""
    snapshot = _read(decision_snapshot)
    if (snapshot.portrait_sha256, snapshot.driver_sha256) != (portrait_sha256, driver_sha256):
        raise _refused([Reason("changed_input", FIX["changed_input"])])


def require_still_standing(*, decision_snapshot: Mapping[str, Any], now: datetime | None = None, lock: bool = False) -> Decision:
    """Ask again, without pixels: do the named consents stand and cover the job now?

    lock: hold the consents until the caller's transaction ends, so that a withdrawal comes before it or after it.

    A stored decision for review passes here: whether a moderator approved it is the job's to know. Returns today's decision
    (whether the sound may be carried can have changed). Raises ConsentRefused.
    """
    snapshot = _read(decision_snapshot)
    moment = now or timezone.now()
    consents = selectors.consents_by_id(ids=[face.consent_id for face in snapshot.faces if face.consent_id], lock=lock)
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
    Returns reasons for which a person has to look before release: faces that could not be matched.
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
    if face.embedding is None:
        return None
    fits = _fitting(face, given, templates)
    if len({consent.person_id for consent in fits}) != 1:
        return None  # nobody, or several people: the studio has to say who it is
    return _best_of(fits, face, templates, request).id


def _fitting(face: ObservedFace, given: Sequence[Consent], templates: _Templates) -> list[Consent]:
    """Return the consents whose person the face matches."""
    return [consent for consent in given if _matches(face, templates.of(consent), templates.engine)]


def _best_of(fits: Sequence[Consent], face: ObservedFace, templates: _Templates, request: Request) -> Consent:
    """Return, of one person's consents, newest first, the one to name for a face."""
    in_scope = [c for c in fits if policy.standing_of(request, face.side, selectors.view_of(c), templates.now) is None]
    in_role = [c for c in fits if policy.Role(c.role) in policy.ROLES_OF_SIDE[face.side]]
    return (in_scope or in_role or fits)[0]


def _matches(face: ObservedFace, template: Embedding | None, engine: FaceEngine) -> bool:
    return template is not None and compare(face, template, engine) is Band.MATCH


def compare(face: ObservedFace, template: Embedding, engine: FaceEngine) -> Band:
    """Return the band of a face: its mean decides; a look beyond review, a window beyond match or blind frames pull it down."""
    if face.embedding is None or face.samples is None or not len(face.samples):
        return Band.NONE
    limits = engine.model.thresholds
    band = band_of(engine.distance(face.embedding, template), limits)
    looks = [band_of(engine.distance(sample, template), limits) for sample in face.samples]
    if band is Band.NONE or Band.NONE in looks:
        return Band.NONE
    unsure = any(
        band_of(engine.distance(mean, template), limits) is not Band.MATCH for mean in windows(face.samples, face.sampled_at)
    )
    return Band.REVIEW if unsure or _blind(face) else band


def _blind(face: ObservedFace) -> bool:
    """Whether too many frames show somebody that no look vouches for."""
    return face.blind_frames > BLIND_FRAMES_MAX or face.unvouched_frames > UNVOUCHED_SHARE_MAX * face.frames


def windows(samples: np.ndarray[Any, np.dtype[np.float64]], sampled_at: Sequence[int] = ()) -> list[Embedding]:
    """Return the means over neighbouring samples (K, D): at least three, over at least WINDOW_FRAMES frames; of all when fewer.

    sampled_at: their frames; without it they count as regular. Looks close together are noisy alike, so time matters too.
    """
    count = len(samples)
    at = list(sampled_at) if len(sampled_at) == count else [number * SAMPLE_EVERY_FRAMES for number in range(count)]
    whole = [
        (start, end)
        for start in range(count)
        for end in range(start + WINDOW_SAMPLES, count + 1)
        if at[end - 1] - at[start] >= WINDOW_FRAMES
    ]
    smallest = [pair for pair in whole if (pair[0], pair[1] - 1) not in whole or (pair[0] + 1, pair[1]) not in whole]
    return [samples[start:end].mean(axis=0) for start, end in smallest] or [samples.mean(axis=0)]


def _view(
    face: ObservedFace, named: Mapping[str, UUID], consents: Mapping[UUID, Consent], templates: _Templates, request: Request
) -> FaceView:
    doubtful = face.counted_by is CountedBy.DOUBT
    view = FaceView(
        face.name, face.side, matchable=face.embedding is not None, hidden=face.hidden, doubtful=doubtful, note=face.note
    )
    if face.name not in named:
        return replace(view, known_as=_known_as(face, templates, request))
    consent = consents.get(named[face.name])
    if consent is None or consent.studio_id != request.studio_id:
        return replace(view, named=True)  # another studio's template is not even opened
    view = replace(view, named=True, consent=selectors.view_of(consent))
    if view.consent is None or policy.standing_of(request, face.side, view.consent, templates.now) is not None:
        return view  # a consent that does not stand is refused unseen: nobody is compared without need
    template = templates.of(consent)
    return view if template is None else replace(view, band=compare(face, template, templates.engine))


def _known_as(face: ObservedFace, templates: _Templates, request: Request) -> tuple[UUID, ...]:
    """Return, for an unnamed face, the consent to name for each of the studio's own people that it matches."""
    if face.hidden or face.embedding is None:
        return ()
    by_person: dict[UUID, list[Consent]] = {}
    # ended consents too: who withdrew is not nobody, and cannot be declared fictional
    for consent in _fitting(face, selectors.consents_with_templates(studio_id=request.studio_id), templates):
        by_person.setdefault(consent.person_id, []).append(consent)
    return tuple(_best_of(fits, face, templates, request).id for fits in by_person.values())


def _standing_view(face: FaceDecision, consents: Mapping[UUID, Consent]) -> FaceView:
    bands = {Outcome.COVERED: Band.MATCH, Outcome.AMBIGUOUS: Band.REVIEW}
    consent = consents.get(face.consent_id) if face.consent_id else None
    return FaceView(
        face.face,
        face.side,
        named=face.consent_id is not None,
        consent=selectors.view_of(consent) if consent else None,
        band=bands.get(face.outcome, Band.NONE),
        hidden=face.outcome is Outcome.HIDDEN,
        doubtful=face.outcome is Outcome.DOUBTFUL,
    )


def _rendered_problem(face: ObservedFace, cleared: Sequence[Embedding], engine: FaceEngine) -> Reason | None:
    if face.embedding is None:
        note = face.note or "no usable view"
        return Reason("rendered_unmatchable", FIX["rendered_unmatchable"].format(face=face.name, detail=note), face.name)
    if any(_shows(face, template, engine) for template in cleared):
        return None
    return Reason("rendered_mismatch", FIX["rendered_mismatch"].format(face=face.name), face.name)


def _shows(face: ObservedFace, template: Embedding, engine: FaceEngine) -> bool:
    """Whether every window of a rendered face stays within the review threshold of one template."""
    limits = engine.model.thresholds
    samples = np.empty((0, 0)) if face.samples is None else face.samples
    bands = (
        [band_of(engine.distance(mean, template), limits) for mean in windows(samples, face.sampled_at)] if len(samples) else []
    )
    return bool(bands) and Band.NONE not in bands


def _names_without_face(named: Mapping[str, UUID], observed: Sequence[ObservedFace]) -> list[Reason]:
    missing = sorted(set(named) - {face.name for face in observed})
    return [Reason("name_without_face", FIX["name_without_face"].format(face=name), name) for name in missing]


def _unbound(*digests: str) -> list[Reason]:
    # a decision that is bound to nothing would hold for any file
    return [] if all(len(digest) == 64 for digest in digests) else [Reason("changed_input", FIX["changed_input"])]


def _read(stored: Mapping[str, Any]) -> Snapshot:
    snapshot = Snapshot.from_json(stored)
    if snapshot is None or snapshot.outcome is Verdict.REFUSE:
        raise _refused([Reason("unsupported_decision", FIX["unsupported_decision"])])
    return snapshot


def _refused(reasons: Sequence[Reason]) -> ConsentRefused:
    return ConsentRefused(Decision(Verdict.REFUSE, (), tuple(reasons)))
