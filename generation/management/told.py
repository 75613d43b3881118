"""What commands about jobs say to people: progress while they wait, and at the end one block of what happened and what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from generation.models import Job
from generation.selectors import is_waiting
from generation.states import FINAL, PARKED, Status
from users.commands import JsonCommand

PROGRESS = {
    Status.SUBMITTED: "Looking at every face ...",
    Status.CLEARED: "Every face is covered; waiting for a worker ...",
    Status.RENDERING: "Rendering {frames} frames ...",
    Status.SEALING: "Reading the watermark back, signing ...",
}
ENDS = {
    Status.REFUSED: "REFUSED: a rule said no. No clip was made.",
    Status.REJECTED: "REJECTED: a reviewer said no. No clip was made.",
    Status.FAILED: "FAILED. No clip was made.",
    Status.CANCELLED: "CANCELLED. No clip was made.",
    Status.WITHDRAWN: "WITHDRAWN: a consent behind this clip ended. It is not handed out any more.",
    Status.IN_REVIEW: "IN REVIEW: a person looks at this before anything is rendered.",
    Status.HELD: "HELD: the clip is sealed, and a person looks at it before it is released.",
}
WAITING = "CLEARED, and waiting for you: nothing is rendered yet."
IN_THE_BLOCK = frozenset({"reasons", "warnings", "bridged", "next"})  # said there in sentences


class JobCommand(JsonCommand):
    """A command whose answer is a job. What has to be read stands together, last, on standard error."""

    def for_people(self, result: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields that say something, without what the block says."""
        return {name: value for name, value in result.items() if value not in (None, [], {}, 0) and name not in IN_THE_BLOCK}

    def _print(self, result: Mapping[str, Any], *, as_json: bool) -> None:
        super()._print(result, as_json=as_json)
        block = list(_block(result)) if "status" in result else []
        if block:
            self.stdout.flush()
            self.stderr.write("\n" + "\n".join(block))


def _block(answer: Mapping[str, Any]) -> Iterator[str]:
    status = Status(answer["status"])
    waiting = status is Status.CLEARED and answer["waits_for_start"]
    title = WAITING if waiting else ENDS.get(status, "")
    if title:
        yield title
    yield from (f"  {reason['message']}" for reason in answer["reasons"])
    yield from (f"  Note: {warning['message']}" for warning in answer["warnings"])
    if answer.get("next"):
        yield f"  Next: {answer['next']}"


def next_step(job: Job, *, wants_file: bool) -> str:
    """What to type next, if anything. wants_file: the caller named a place for the clip."""
    manage, fetch = "./dev manage", f"`./dev manage job fetch {job.pk} --out clip.mp4` copies the clip"
    if is_waiting(job):
        file = "; --out is written then, not now" if wants_file else ""
        return f"`{manage} preview {job.pk} --out still.png` shows it, `{manage} start {job.pk} --out clip.mp4` goes on{file}."
    if job.status in PARKED:
        return f"a reviewer decides (`{manage} review approve {job.pk}`); then {fetch}."
    return f"{fetch}." if job.status == Status.RELEASED and not wants_file else ""


class Progress:
    """Says on a terminal how far a job is, one line for each step; a script reads nothing of it."""

    def __init__(self) -> None:
        self._said = ""

    def tell(self, job: Job) -> None:
        """Say where the job stands, unless that was said."""
        line = PROGRESS.get(Status(job.status), "").format(frames=job.frames_total)
        if line and line != self._said and job.status not in FINAL and not is_waiting(job) and sys.stderr.isatty():
            print(line, file=sys.stderr, flush=True)
        self._said = line
