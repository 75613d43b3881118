"""How a job looks to the people who wait for it: steps, progress and reasons in plain words. Reads a Job, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generation.models import Job
from generation.selectors import ended_by_consent, is_waiting, reasons_of
from generation.states import CANCELLABLE, FINAL, PARKED, Stage, Status
from portal.selectors import NamesOfJob, names_of_jobs
from portal.wording import face_label, option_label, option_value, purpose_label

STEPS = (
    (Stage.CLEAR, "Consent", "Every face in both files is looked at and matched with the consent named for it."),
    (Stage.RENDER, "Render", "The portrait performs. Each frame is watermarked before it is written."),
    (Stage.PROVE, "Prove", "The watermark is read back from the finished file and from damaged copies of it."),
    (Stage.SEAL, "Sign", "A separate signer checks all of it again, signs the file and reads it back."),
)
SENTENCES = {
    Status.SUBMITTED: ("Checking consent", "busy", "Every face is being looked at."),
    Status.IN_REVIEW: ("In review", "parked", "A person looks at this before anything is rendered."),
    Status.CLEARED: ("Cleared", "busy", "Every face is covered. Rendering starts as soon as a worker is free."),
    Status.RENDERING: ("Rendering", "busy", "Frames are animated, watermarked and encoded in one go."),
    Status.SEALING: ("Sealing", "busy", "The mark is read back and the file is signed."),
    Status.HELD: ("Held", "parked", "The clip is sealed. A person looks at it before it is released."),
    Status.RELEASED: ("Released", "good", "Consented to, signed and watermarked."),
    Status.REFUSED: ("Refused", "bad", "A rule said no. Nothing was released."),
    Status.REJECTED: ("Rejected", "bad", "A reviewer said no. Nothing was released."),
    Status.FAILED: ("Failed", "bad", "Something broke while it was made. Nothing was released."),
    Status.CANCELLED: ("Cancelled", "quiet", "Stopped before release. Nothing was released."),
    Status.WITHDRAWN: ("Withdrawn", "bad", "Consent for this clip no longer stands. It is not handed out any more."),
}
# ends that read better by their reason
SENTENCES_BY_REASON = {
    "bad_input": ("Cannot be used", "bad", "One of the files, or a setting, does not work as it is. Nothing was made."),
    "consent_ended": ("Stopped", "bad", "A consent for this clip ended before it was released. Nothing was released."),
    "template_revoked": ("Stopped", "bad", "Its motion template was taken back. Nothing was released."),
    "never_started": ("Expired", "quiet", "Nobody started it. Nothing was released."),
}
WAITING = ("Ready to preview", "parked", "Every face is covered. Try the settings below, then start.")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way through. state: `done`, `active`, `parked`, `stopped` or `waiting`."""

    title: str
    explanation: str
    state: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a job does not go on, and what to do about it."""

    message: str
    face: str
    code: str


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as its page shows it. tone: `busy`, `parked`, `good`, `bad` or `quiet`."""

    job: Job
    label: str
    tone: str
    sentence: str
    steps: tuple[Step, ...]
    reasons: tuple[Reason, ...]
    warnings: tuple[Reason, ...]
    names: NamesOfJob

    @property
    def title(self) -> str:
        """Who is seen, or the portrait's file until that is known."""
        return self.names.depicted or self.job.portrait.file_name

    @property
    def performed_by(self) -> str:
        """Who performs, or the performance's file until that is known."""
        return self.names.performer or self.job.driving.file_name

    @property
    def files(self) -> str:
        """The names of the files, as they were uploaded."""
        return f"{self.job.portrait.file_name}, {self.job.driving.file_name}"

    @property
    def shows_inputs(self) -> bool:
        """Whether the files it was made of may be shown."""
        return not ended_by_consent(self.job)

    @property
    def is_settled(self) -> bool:
        """Whether nothing changes any more without a person: asking again every second would be in vain."""
        return self.job.status in FINAL or self.job.status in PARKED or self.is_waiting

    @property
    def is_waiting(self) -> bool:
        """Whether it goes on only when the studio starts it."""
        return is_waiting(self.job)

    @property
    def can_be_cancelled(self) -> bool:
        """Whether the studio may still stop it."""
        return self.job.status in CANCELLABLE

    @property
    def is_released(self) -> bool:
        """Whether there is a clip to play."""
        return self.job.status == Status.RELEASED

    @property
    def was_released(self) -> bool:
        """Whether there is a watermark and a manifest to name, also after the clip was withdrawn."""
        return self.job.status in (Status.RELEASED, Status.WITHDRAWN)

    @property
    def has_no_clip(self) -> bool:
        """Whether it ended without one."""
        return self.job.status in FINAL and not self.was_released

    @property
    def is_rendering(self) -> bool:
        """Whether counting frames makes sense."""
        return self.job.status == Status.RENDERING and self.job.frames_total > 0

    @property
    def purpose(self) -> str:
        """What the clip is for, in words."""
        return purpose_label(self.job.purpose)

    @property
    def options(self) -> list[tuple[str, str]]:
        """Options that differ from their defaults, in words."""
        return [(option_label(name), option_value(name, value)) for name, value in self.job.options.items()]

    @property
    def version(self) -> str:
        """Changes whenever the page would look different."""
        return f"{self.job.status}-{self.job.stage}-{self.job.frames_done}"


def view_of(job: Job, names: NamesOfJob | None = None) -> JobView:
    """Put a job into words. names: of the people in it; looked up when left out."""
    label, tone, sentence = WAITING if is_waiting(job) else _sentence(job)
    reasons, warnings = _in_words(reasons_of(job)), _in_words(job.render_facts.get("warnings", []))
    return JobView(job, label, tone, sentence, _steps(job), reasons, warnings, names or names_of_jobs([job])[job.pk])


def _sentence(job: Job) -> tuple[str, str, str]:
    usual = SENTENCES[Status(job.status)]
    if job.status not in (Status.FAILED, Status.CANCELLED):
        return usual
    return next((SENTENCES_BY_REASON[reason["code"]] for reason in job.reasons if reason["code"] in SENTENCES_BY_REASON), usual)


def _in_words(found: Sequence[Mapping[str, Any]]) -> tuple[Reason, ...]:
    return tuple(
        Reason(str(entry.get("message") or ""), face_label(entry.get("face")), str(entry.get("code") or "")) for entry in found
    )


def _steps(job: Job) -> tuple[Step, ...]:
    order = [stage for stage, _, _ in STEPS]
    current = _current(job, order)
    return tuple(
        Step(title, explanation, "done" if number < current else _state_of_current(job) if number == current else "waiting")
        for number, (_, title, explanation) in enumerate(STEPS)
    )


def _current(job: Job, order: list[Stage]) -> int:
    if job.status in (Status.RELEASED, Status.WITHDRAWN):
        return len(order)
    if job.status == Status.IN_REVIEW:  # its next stage is RENDER, but consent is what waits
        return 0
    return order.index(Stage(job.stage))


def _state_of_current(job: Job) -> str:
    if job.status in PARKED or is_waiting(job):
        return "parked"
    return "stopped" if job.status in FINAL else "active"
