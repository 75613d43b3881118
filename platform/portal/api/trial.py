"""Trying settings on stills of a job, and going on with those found: the doors of the API."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from generation.previews.services import is_previewable, moments_of, preview, previews_left
from generation.starting import make_again, start_job
from portal.acting import job_or_404
from portal.api import shapes
from portal.api.access import StudioView
from portal.api.parsers import PlainJSONParser
from users.permissions import Permission


class PngRenderer(BaseRenderer):
    """Lets callers ask for `image/png`. What goes wrong is still said in JSON."""

    media_type = "image/png"
    format = "png"
    render_style = "binary"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """An error; pictures do not come this way."""
        if renderer_context is not None:
            renderer_context["response"].headers["Content-Type"] = JSONRenderer.media_type
        return bytes(JSONRenderer().render(data))


class JobPreview(StudioView):
    """Small, marked stills of what a cleared job would show."""

    needs: ClassVar = {"GET": Permission.READ, "POST": Permission.SUBMIT}
    parser_classes = (PlainJSONParser,)
    renderer_classes = (JSONRenderer, PngRenderer)

    @extend_schema(responses=shapes.PreviewsOut)
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """Which moments may be previewed, and how many more previews today."""
        job = job_or_404(self.acting, job_id)
        shown = moments_of(job) if is_previewable(job) else ()
        return Response({"moments_s": list(shown), "left_today": previews_left(self.acting.studio)})

    @extend_schema(
        request=shapes.PreviewIn,
        responses={(200, "image/png"): OpenApiTypes.BINARY, 429: OpenApiResponse(description="No more today: see Retry-After")},
    )
    def post(self, request: Request, job_id: uuid.UUID) -> HttpResponse:
        """One still, at most 256 pixels a side, with other settings. Its consents are asked for again at each call."""
        given = shapes.PreviewIn(data=request.data)
        given.is_valid(raise_exception=True)
        picture = preview(job=job_or_404(self.acting, job_id), actor=self.acting.actor, **given.validated_data)
        return HttpResponse(picture.png, content_type="image/png", headers={"Cache-Control": "private, no-store"})


class JobStart(StudioView):
    """The end of a job's waiting."""

    needs: ClassVar = {"POST": Permission.SUBMIT}
    parser_classes = (PlainJSONParser,)

    @extend_schema(request=shapes.StartIn, responses=shapes.JobOut)
    def post(self, request: Request, job_id: uuid.UUID) -> Response:
        """Send it on, with other settings if any are given. Starting twice is starting once."""
        given = shapes.StartIn(data=request.data)
        given.is_valid(raise_exception=True)
        options = given.validated_data.get("options")
        job = start_job(job=job_or_404(self.acting, job_id), options=options, actor=self.acting.actor)
        return Response(shapes.job_out(job, request))


class JobAgain(StudioView):
    """A clip of the same files with other settings."""

    needs: ClassVar = {"POST": Permission.SUBMIT}
    parser_classes = (PlainJSONParser,)

    @extend_schema(request=shapes.SettingsIn, responses={201: shapes.JobOut})
    def post(self, request: Request, job_id: uuid.UUID) -> Response:
        """Submit it. The same settings twice make one job."""
        given = shapes.SettingsIn(data=request.data)
        given.is_valid(raise_exception=True)
        made = make_again(
            job=job_or_404(self.acting, job_id),
            options=given.validated_data["options"],
            actor=self.acting.actor,
            user=self.acting.user,
        )
        return Response(shapes.job_out(made, request), status=201)
