"""What part of the picture a preview shows: a face that would be too small to judge is shown from near."""

from __future__ import annotations

import pytest

from generation.engines.base import Framing, OutputShape
from generation.models import Asset, Job
from generation.previews.scene import is_zoomed, scene_key, shown_shape
from users.models import Studio

Box = tuple[float, float, float, float]
WHOLE = OutputShape()


def job_with(*boxes: Box, size: tuple[int, int] = (1024, 1024), performing: int | None = None) -> Job:
    """A job whose portrait shows faces in these boxes, the first `performing` of which are cast."""
    portrait = Asset(kind=Asset.Kind.STILL, facts={"width": size[0], "height": size[1]})
    named = {f"portrait:{number}": list(box) for number, box in enumerate(boxes, start=1)}
    cast = [[face, "driver:1"] for face in list(named)[:performing]]
    return Job(studio=Studio(slug="s"), portrait=portrait, render_facts={"portrait_boxes": named, "cast": cast})


@pytest.mark.parametrize(
    ("boxes", "framing"),
    [
        ([(400.0, 300.0, 600.0, 520.0)], Framing.CROP),  # 55 px high in the whole picture
        ([(100.0, 100.0, 800.0, 900.0)], Framing.FULL),
        ([(10.0, 300.0, 210.0, 520.0), (800.0, 300.0, 1000.0, 520.0)], Framing.FULL),  # too far apart to come nearer
        ([(300.0, 300.0, 450.0, 460.0), (500.0, 300.0, 650.0, 460.0)], Framing.CROP),
        ([], Framing.FULL),
    ],
)
def test_small_performing_faces_are_shown_from_near_when_that_makes_them_larger(boxes: list[Box], framing: Framing) -> None:
    job = job_with(*boxes)
    assert shown_shape(job, WHOLE).framing is framing
    assert is_zoomed(job, WHOLE) is (framing is Framing.CROP)


def test_a_face_that_only_stands_by_does_not_count() -> None:
    job = job_with((400.0, 300.0, 600.0, 520.0), (0.0, 0.0, 90.0, 100.0), performing=1)
    assert is_zoomed(job, WHOLE)


def test_what_the_clip_will_show_is_left_as_it_was_asked_for() -> None:
    job = job_with((400.0, 300.0, 600.0, 520.0))
    cropped = OutputShape(framing=Framing.CROP)
    assert shown_shape(job, cropped) is cropped
    assert not is_zoomed(job, cropped)
    assert scene_key(job, WHOLE) == scene_key(job, cropped)  # one scene is kept for both
