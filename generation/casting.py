"""What a job's inputs are called, and which driving face moves which face of the source."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from generation.errors import InvalidRequest
from generation.models import Asset, Job
from media.errors import BadInput

SOURCE, LEAD = "portrait", "driver"
CAST_MAX = 8  # driving files, and faces that they move
Pair = tuple[str, str]  # a face of the source and the driving face that moves it, such as ("portrait:1", "driver2:1")


@dataclass(frozen=True, slots=True)
class Casting:
    """What a studio asks for: that face `driver_face` of a driving file moves face `face` of the source. Faces count from 1."""

    driving: Asset
    face: int
    driver_face: int = 1


def inputs_of(job: Job) -> dict[str, Asset]:
    """The files a job rests on, by the name that stands before the colon in their faces' names: portrait, driver, driver2 ..."""
    further = [part.driving for part in job.parts.select_related("driving")]
    drivers = dict.fromkeys([job.driving, *further])
    return {SOURCE: job.portrait, **{driver_name(number): asset for number, asset in enumerate(drivers, start=1)}}


def driver_name(number: int) -> str:
    """The name of the n-th driving file; the first leads."""
    return LEAD if number == 1 else f"{LEAD}{number}"


def require_castable(lead: Asset, cast: Sequence[Casting]) -> list[Casting]:
    """The cast with the lead driver first. Raises InvalidRequest for one that contradicts itself."""
    faces, drivers = [member.face for member in cast], {lead, *(member.driving for member in cast)}
    if min([*faces, *(member.driver_face for member in cast)], default=1) < 1:
        raise InvalidRequest("Faces count from 1; name the largest face of the picture 1.")
    if len(set(faces)) < len(faces):
        raise InvalidRequest("A face of the portrait is cast twice; give each face one driver.")
    if cast and lead not in [member.driving for member in cast]:
        raise InvalidRequest("The leading performance moves no face; cast it for one, or leave it out.")
    if max(len(drivers), len(cast)) > CAST_MAX:
        raise InvalidRequest(
            f"A job takes {CAST_MAX} driving files at most, and moves as many faces; split the scene into several jobs."
        )
    return sorted(cast, key=lambda member: member.driving != lead)


def pairs_of(job: Job, source_faces: Sequence[str], driving_faces: Collection[str]) -> list[Pair]:
    """Who moves whom, the lead driver first.

    source_faces: those that can be animated, driving_faces: all that were seen. A job that casts nobody pairs face n of its
    driver with the n-th of these; faces left over keep still. Raises BadInput when a face that is cast is not there.
    """
    names = {asset.pk: name for name, asset in inputs_of(job).items() if name != SOURCE}
    asked = [(f"{SOURCE}:{part.face}", f"{names[part.driving_id]}:{part.driver_face}") for part in job.parts.all()]
    for face, driver in asked:
        if face not in source_faces:
            raise BadInput(f"The portrait shows no {face} that can be animated; cast one of: {_listed(source_faces)}.")
        if driver not in driving_faces:
            raise BadInput(f"No {driver} was found in the performances; cast one of: {_listed(driving_faces)}.")
    if asked:
        return asked
    numbered = [(face, f"{LEAD}:{number}") for number, face in enumerate(source_faces, start=1)]
    return [(face, driver) for face, driver in numbered if driver in driving_faces]


def cast_of(job: Job) -> list[Casting]:
    """What the studio asked for, to ask for it again."""
    return [Casting(part.driving, part.face, part.driver_face) for part in job.parts.select_related("driving")]


def _listed(faces: Collection[str]) -> str:
    return ", ".join(sorted(faces)) or "none"
