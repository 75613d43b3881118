"""Who moves whom: several drivers, a chosen face, a video as source, stretches that are bridged. Faces stand in a plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from casting_material import both, codes, run, submit, upload
from django.conf import settings as django_settings
from PIL import Image
from quick_engine import Asked
from stage_material import (
    FRAMES,
    HER,
    NOBODY,
    RATE,
    SECOND_RATE,
    Sight,
    agree,
    write_driver,
)

from consent.models import Consent
from consent.policy import Role
from generation import casting, cleared, services, storage
from generation.answers import job_answer
from generation.casting import Casting
from generation.errors import IdempotencyConflict, InvalidRequest
from generation.models import Asset, Job
from generation.states import Stage, Status
from media.errors import BadInput
from media.video import probe
from provenance.models import Record
from users.models import Studio

pytestmark = pytest.mark.usefixtures("sight")


# ---- several drivers


def test_each_driver_moves_the_face_it_is_cast_for_and_the_lead_comes_first(
    studio: Studio, portrait: Asset, lead: Asset, second: Asset, scene: dict[str, Consent], asked: Asked
) -> None:
    job = run(submit(studio, portrait, lead, scene, cast=[Casting(second, face=1), Casting(lead, face=2)]))
    assert job.status == Status.RELEASED, job.reasons
    assert [performance.track.frame_rate for performance in asked.performances] == [RATE, SECOND_RATE]
    assert job_answer(job)["cast"] == [
        {"face": "portrait:2", "driver": "driver:1"},
        {"face": "portrait:1", "driver": "driver2:1"},
    ]
    assert (job.render_facts["frame_rate"], job.render_facts["frames"]) == (str(RATE), FRAMES)


def test_the_decision_binds_every_file(
    studio: Studio, portrait: Asset, lead: Asset, second: Asset, scene: dict[str, Consent]
) -> None:
    job = run(submit(studio, portrait, lead, scene, cast=both(lead, second)), before=Stage.RENDER)
    inputs = casting.inputs_of(job)
    assert job.decision is not None
    bound = dict(job.decision["inputs"])
    assert len(bound.pop("plan")) == 64
    assert bound == {name: asset.normalised_sha256 for name, asset in inputs.items()}
    assert list(inputs) == ["portrait", "driver", "driver2"]


def plan_of(job: Job, **changes: Any) -> None:
    """Change what the row says of the rendering, as whoever can write to the database could."""
    Job.objects.filter(pk=job.pk).update(render_facts={**job.render_facts, **changes})


def recast(job: Job) -> None:
    plan_of(job, cast=[["portrait:1", "driver:1"], ["portrait:2", "driver2:1"]])


def cast_a_stranger(job: Job) -> None:
    plan_of(job, cast=[["portrait:1", "driver:7"]])


def move_a_box(job: Job) -> None:
    plan_of(job, portrait_boxes={**job.render_facts["portrait_boxes"], "portrait:1": [0, 0, 4, 4]})


def slow_down(job: Job) -> None:
    Asset.objects.filter(pk=job.driving_id).update(facts={**job.driving.facts, "frame_rate": "1"})


@pytest.mark.parametrize("before", [Stage.RENDER, Stage.SEAL])
@pytest.mark.parametrize("change", [recast, cast_a_stranger, move_a_box, slow_down])
def test_a_plan_that_was_changed_after_the_decision_stops_the_job(
    studio: Studio,
    portrait: Asset,
    lead: Asset,
    second: Asset,
    scene: dict[str, Consent],
    change: Callable[[Job], None],
    before: Stage,
) -> None:
    job = run(submit(studio, portrait, lead, scene, cast=both(lead, second)), before=before)
    change(Job.objects.select_related("driving").get(pk=job.pk))
    stopped = run(Job.objects.get(pk=job.pk))
    assert (stopped.status, codes(stopped)) == (Status.REFUSED, [("changed_input", None)])


@pytest.mark.parametrize("asked_for", [("portrait:1", "driver:7"), ("portrait:1", "driver9:1"), ("portrait:9", "driver:1")])
def test_a_face_that_nobody_saw_is_bad_input(
    studio: Studio, portrait: Asset, lead: Asset, second: Asset, scene: dict[str, Consent], asked_for: tuple[str, str]
) -> None:
    job = run(submit(studio, portrait, lead, scene, cast=both(lead, second)), before=Stage.RENDER)
    job.render_facts["cast"] = [asked_for]
    with pytest.raises(BadInput, match="cast a face that was seen"):
        cleared.performances_of(job)


def test_the_database_gives_a_plan_back_as_it_was_bound(
    studio: Studio, portrait: Asset, lead: Asset, pair: dict[str, Consent]
) -> None:
    job = run(submit(studio, portrait, lead, pair), before=Stage.RENDER)
    boxes = {"portrait:1": [-0.0, 1.0, 2.5, 3e2]}
    job.render_facts["portrait_boxes"] = boxes
    job.save()
    stored = Job.objects.get(pk=job.pk).render_facts["portrait_boxes"]
    inputs = casting.inputs_of(job)
    assert cleared.bindings_of(inputs, [], stored) == cleared.bindings_of(inputs, [], boxes)


def test_more_faces_than_a_job_takes_are_not_cast(studio: Studio, portrait: Asset, lead: Asset) -> None:
    with pytest.raises(InvalidRequest, match="at most"):
        submit(studio, portrait, lead, {}, cast=[Casting(lead, face=face) for face in range(1, casting.CAST_MAX + 2)])


@pytest.mark.parametrize(
    ("size", "options", "refused"),
    [
        ((94, 128), {}, True),
        ((96, 128), {}, False),
        ((94, 128), {"short_side": 256}, False),
        ((5000, 110), {}, True),  # scaled down to 90
        ((5000, 110), {"framing": "crop"}, False),
    ],
)
def test_a_picture_too_small_to_mark_is_told_at_once(
    studio: Studio,
    lead: Asset,
    pair: dict[str, Consent],
    tmp_path: Path,
    size: tuple[int, int],
    options: dict[str, Any],
    refused: bool,
) -> None:
    Image.new("RGB", size, "grey").save(tmp_path / "small.png")
    picture = upload(studio, Asset.Kind.STILL, tmp_path / "small.png")
    job = run(submit(studio, picture, lead, pair, options=options), before=Stage.RENDER)
    assert job.status == (Status.FAILED if refused else Status.CLEARED), job.reasons
    if refused:
        assert codes(job) == [("bad_input", None)]
        assert "at least 96" in job.reasons[0]["message"]


def test_a_further_driver_that_was_changed_after_the_decision_stops_the_job(
    studio: Studio, portrait: Asset, lead: Asset, second: Asset, scene: dict[str, Consent]
) -> None:
    job = run(submit(studio, portrait, lead, scene, cast=both(lead, second)), before=Stage.RENDER)
    second.refresh_from_db()
    other = storage.resolve(second.normalised_path)
    other.write_bytes(other.read_bytes() + b"\0")
    assert codes(run(job)) == [("artefact_changed", None)]


def test_a_driver_added_after_the_decision_stops_the_job(
    studio: Studio, portrait: Asset, lead: Asset, second: Asset, scene: dict[str, Consent]
) -> None:
    del scene["driver2:1"]
    job = run(submit(studio, portrait, lead, scene, cast=[Casting(lead, face=1)]), before=Stage.RENDER)
    other = run(submit(studio, portrait, second, {}), before=Stage.RENDER)  # refused, but normalised
    assert other.status == Status.REFUSED
    job.parts.create(position=2, driving=second, driver_face=1, face=2)
    assert codes(run(job)) == [("changed_input", None)]


def test_every_face_of_every_driver_needs_a_consent(
    studio: Studio, portrait: Asset, lead: Asset, second: Asset, scene: dict[str, Consent]
) -> None:
    del scene["driver2:1"]
    job = run(submit(studio, portrait, lead, scene, cast=both(lead, second)))
    assert (job.status, codes(job)) == (Status.REFUSED, [("unnamed", "driver2:1")])


def test_a_performer_of_a_further_driver_who_withdraws_stops_the_job(
    studio: Studio, portrait: Asset, lead: Asset, second: Asset, scene: dict[str, Consent]
) -> None:
    job = run(submit(studio, portrait, lead, scene, cast=both(lead, second)), before=Stage.RENDER)
    Consent.objects.filter(pk=scene["driver2:1"].pk).update(valid_until=scene["driver2:1"].given_at)
    job = run(job)
    assert (job.status, codes(job)) == (Status.REFUSED, [("expired", "driver2:1")])


@pytest.mark.parametrize(("lead_speaks", "carried"), [(True, True), (False, False)])
def test_only_the_lead_is_heard_so_only_the_leads_faces_are_asked_for_their_voice(
    studio: Studio, portrait: Asset, lead: Asset, second: Asset, scene: dict[str, Consent], lead_speaks: bool, carried: bool
) -> None:
    Consent.objects.filter(pk=scene["driver:1"].pk).update(voice=lead_speaks)
    Consent.objects.filter(pk=scene["driver2:1"].pk).update(voice=not lead_speaks)
    job = run(submit(studio, portrait, lead, scene, cast=both(lead, second)), before=Stage.PROVE)
    assert job.render_facts["audio"] is carried


def test_the_manifest_counts_every_input(
    studio: Studio, portrait: Asset, lead: Asset, second: Asset, scene: dict[str, Consent]
) -> None:
    job = run(submit(studio, portrait, lead, scene, cast=both(lead, second)))
    store = bytes(Record.objects.get(job_id=job.pk).manifest_store or b"")
    assert [store.count(role) > 0 for role in (b"portrait", b"driver", b"driver2")] == [True] * 3


# ---- a chosen face


def test_a_chosen_face_is_moved_and_the_other_keeps_still(
    studio: Studio, portrait: Asset, lead: Asset, scene: dict[str, Consent]
) -> None:
    del scene["driver2:1"]
    job = run(submit(studio, portrait, lead, scene, cast=[Casting(lead, face=2)]), before=Stage.RENDER)
    assert job.render_facts["cast"] == [["portrait:2", "driver:1"]]


def test_without_a_choice_faces_are_paired_by_size(
    studio: Studio, portrait: Asset, lead: Asset, scene: dict[str, Consent]
) -> None:
    del scene["driver2:1"]
    job = run(submit(studio, portrait, lead, scene), before=Stage.RENDER)
    assert job.render_facts["cast"] == [["portrait:1", "driver:1"]]


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"face": 3}, "portrait:3 that can be animated; cast one of: portrait:1, portrait:2"),
        ({"face": 1, "driver_face": 2}, "No driver:2"),
    ],
)
def test_a_face_that_is_not_there_is_bad_input(
    studio: Studio, portrait: Asset, lead: Asset, scene: dict[str, Consent], member: dict[str, int], said: str
) -> None:
    del scene["driver2:1"]
    job = run(submit(studio, portrait, lead, scene, cast=[Casting(lead, **member)]))
    assert (job.status, codes(job)) == (Status.FAILED, [("bad_input", None)])
    assert said in job.reasons[0]["message"]


@pytest.mark.parametrize(("faces", "said"), [([1, 1], "cast twice"), ([0, 1], "count from 1")], ids=["twice", "zero"])
def test_a_cast_that_contradicts_itself_is_explained(
    studio: Studio, portrait: Asset, lead: Asset, second: Asset, faces: list[int], said: str
) -> None:
    cast = [Casting(lead, face=faces[0]), Casting(second, face=faces[1])]
    with pytest.raises(InvalidRequest, match=said):
        submit(studio, portrait, lead, {}, cast=cast)
    assert not Job.objects.exists()


def test_the_lead_has_to_move_a_face_and_drivers_are_counted(
    studio: Studio, portrait: Asset, lead: Asset, second: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidRequest, match="moves no face"):
        submit(studio, portrait, lead, {}, cast=[Casting(second, face=1)])
    monkeypatch.setattr(casting, "CAST_MAX", 1)
    with pytest.raises(InvalidRequest, match="1 driving files at most"):
        submit(studio, portrait, lead, {}, cast=both(lead, second))


def test_a_studio_cannot_cast_the_files_of_another(
    studio: Studio, other_studio: Studio, portrait: Asset, lead: Asset, tmp_path: Path
) -> None:
    foreign = upload(other_studio, Asset.Kind.VIDEO, write_driver(tmp_path / "theirs.mp4"))
    with pytest.raises(InvalidRequest, match="in this studio"):
        submit(studio, portrait, lead, {}, cast=both(lead, foreign))


def test_the_same_key_with_another_cast_is_a_conflict(studio: Studio, portrait: Asset, lead: Asset) -> None:
    first = submit(studio, portrait, lead, {}, cast=[Casting(lead, face=1)])
    request = services.JobRequest("internal_test", "quick", propose_consents=False)
    again = {"studio": studio, "portrait": portrait, "driving": lead, "request": request, "actor": "system:test"}
    key = first.idempotency_key
    assert services.submit(**again, cast=[Casting(lead, face=1)], idempotency_key=key) == first
    with pytest.raises(IdempotencyConflict):
        services.submit(**again, cast=[Casting(lead, face=2)], idempotency_key=key)


# ---- a video as source


@pytest.fixture
def film(studio: Studio, tmp_path: Path) -> Asset:
    return upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "film.mp4", rate=SECOND_RATE, frames=10, seed=4))


def test_a_video_is_reperformed_frame_by_frame_at_its_own_rate(
    studio: Studio, film: Asset, lead: Asset, pair: dict[str, Consent], asked: Asked
) -> None:
    job = run(submit(studio, film, lead, pair))
    assert job.status == Status.RELEASED, job.reasons
    assert (job.render_facts["frame_rate"], job.render_facts["frames"], job.frames_total) == (str(SECOND_RATE), 10, 10)
    clip = probe(storage.resolve(job.output_path), limits=django_settings.MEDIA_LIMITS)
    assert (clip.frame_rate, clip.frame_count) == (SECOND_RATE, 10)
    own = asked.performances[0].face.track
    assert own is not None
    assert (own.frame_count, own.frame_rate) == (10, SECOND_RATE)


def test_a_video_lasts_no_longer_than_the_performance(
    studio: Studio, lead: Asset, pair: dict[str, Consent], tmp_path: Path
) -> None:
    longer = upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "longer.mp4", rate=SECOND_RATE, frames=24, seed=4))
    job = run(submit(studio, longer, lead, pair), before=Stage.PROVE)
    assert job.render_facts["frames"] == job.frames_total == FRAMES * SECOND_RATE // RATE


def test_who_is_filmed_in_the_source_has_to_agree_to_be_depicted(
    studio: Studio, film: Asset, lead: Asset, pair: dict[str, Consent]
) -> None:
    pair["portrait:1"] = agree(studio, HER, Role.PERFORMER)
    job = run(submit(studio, film, lead, pair))
    assert (job.status, codes(job)) == (Status.REFUSED, [("out_of_scope", "portrait:1")])


def test_somebody_else_in_a_reperformed_video_refuses(
    studio: Studio, film: Asset, lead: Asset, pair: dict[str, Consent], sight: Sight
) -> None:
    sight.rendered = NOBODY
    assert codes(run(submit(studio, film, lead, pair))) == [("rendered_mismatch", "rendered:1")]


def test_whoever_was_filmed_cannot_be_declared_fictional(studio: Studio, film: Asset, lead: Asset) -> None:
    with pytest.raises(InvalidRequest, match="only a still"):
        submit(studio, film, lead, {}, declared_fictional=True)


# ---- what cannot be performed


def test_a_short_stretch_without_a_face_is_bridged_and_told_with_its_time(
    studio: Studio, portrait: Asset, lead: Asset, pair: dict[str, Consent], sight: Sight
) -> None:
    sight.absent = range(6, 8)
    job = run(submit(studio, portrait, lead, pair))
    assert (job.status, job.render_facts["frames"]) == (Status.RELEASED, FRAMES)
    (warning,) = [found for found in job_answer(job)["warnings"] if found["code"] == "bridged"]
    assert (warning["code"], warning["face"], warning["start_s"], warning["end_s"]) == ("bridged", "driver:1", 0.25, 0.333)
    assert "0.25 to 0.33 s" in warning["message"]


def test_over_a_fifth_without_a_face_is_bad_input_before_anything_is_rendered(
    studio: Studio, portrait: Asset, lead: Asset, pair: dict[str, Consent], sight: Sight
) -> None:
    sight.absent = range(4, 7)
    job = run(submit(studio, portrait, lead, pair))
    assert (job.status, job.stage, codes(job)) == (Status.FAILED, Stage.CLEAR, [("bad_input", None)])
    assert job.reasons[0]["message"].startswith("driver:1: the driving face is missing in 25%")


def test_a_portrait_too_small_to_animate_is_told_before_consent_is_talked_about(
    studio: Studio, portrait: Asset, lead: Asset, sight: Sight
) -> None:
    sight.height_px = 60.0
    job = run(submit(studio, portrait, lead, {}))
    assert (job.status, job.stage, codes(job)) == (Status.FAILED, Stage.CLEAR, [("bad_input", None)])
    assert "60 pixels high and at least 64" in job.reasons[0]["message"]


def test_a_cast_is_remembered_for_another_try(studio: Studio, portrait: Asset, lead: Asset, second: Asset) -> None:
    cast = both(lead, second)
    assert casting.cast_of(submit(studio, portrait, lead, {}, cast=cast)) == cast
    assert casting.require_castable(lead, [replace(member) for member in cast]) == cast
