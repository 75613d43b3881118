"""Hands out files of a studio: released clips, asked for consent each time, and the normalised form of uploads."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from generation import storage
from generation.models import Asset, Job
from generation.posters import poster
from generation.selectors import OutputUnavailable, may_be_shown, released_file
from portal.acting import Acting
from portal.services import record_download, record_play, record_poster
from portal.streaming import file_response

PLAYED = "played_jobs"  # of the session
TYPE_BY_KIND = {Asset.Kind.STILL.value: "image/png", Asset.Kind.VIDEO.value: "video/mp4"}


def play(request: HttpRequest, acting: Acting, job: Job) -> HttpResponseBase:
    """The released clip, to look at, written down once per session. Raises what `generation.selectors.released_file` raises."""
    path = released_file(job)
    # a player asks for many ranges of one clip
    played = request.session.get(PLAYED, [])
    if str(job.pk) not in played:
        record_play(acting=acting, job=job)
        request.session[PLAYED] = [*played, str(job.pk)]
    return file_response(request, path, content_type="video/mp4", etag=job.output_sha256)


def download(request: HttpRequest, acting: Acting, job: Job) -> HttpResponseBase:
    """The released clip, to keep. Raises what `generation.selectors.released_file` raises."""
    path = released_file(job)
    record_download(acting=acting, job=job)
    name = f"countersign-{job.watermark_id}.mp4"
    return file_response(request, path, content_type="video/mp4", etag=job.output_sha256, download_name=name)


def show_poster(acting: Acting, job: Job, at_s: float | None) -> HttpResponse:
    """A still of the released clip. Raises what `generation.posters.poster` raises."""
    still = poster(job, at_s=at_s)
    record_poster(acting=acting, job=job)
    return HttpResponse(still, content_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


def show_asset(request: HttpRequest, asset: Asset) -> HttpResponseBase:
    """The normalised form of an upload; the bytes as they came are never sent to a browser.

    Raises OutputUnavailable once a consent behind it ended.
    """
    if not may_be_shown(asset):
        raise OutputUnavailable("A person in this file withdrew, so it is no longer shown; ask for a new consent.")
    path = storage.resolve(asset.normalised_path) if asset.normalised_path else None
    if path is None or not path.is_file() or asset.kind not in TYPE_BY_KIND:
        raise Http404
    return file_response(request, path, content_type=TYPE_BY_KIND[asset.kind], etag=asset.normalised_sha256)
