"""The doors of the API. Each reads its input, calls one service or selector, and shapes the answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.db.models import Model, QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from generation.answers import IDEMPOTENCY_KEY_CHARACTERS
from generation.errors import InvalidRequest
from generation.models import Job
from generation.selectors import asset_of, assets_of, job_of, jobs_of, usage_of
from generation.services import cancel, create_asset, submit
from portal import outputs
from portal.acting import Acting
from portal.api import shapes
from portal.api.access import StudioView
from portal.api.parsers import PlainJSONParser
from portal.body_limits import require_small_body
from portal.examination import examine_upload
from portal.selectors import consent_of, consents_of, people_of, person_of, record_behind
from portal.throttles import RequestThrottle, VerifyThrottle
from users.models import Studio
from users.permissions import Permission

Row = TypeVar("Row", bound=Model)
PAGING = [OpenApiParameter("limit", int), OpenApiParameter("offset", int)]
IDEMPOTENCY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Sending it twice makes one job.")


def _found(find: Callable[[Studio, uuid.UUID], Row | None], acting: Acting, row_id: uuid.UUID) -> Row:
    row = find(acting.studio, row_id)
    if row is None:
        raise Http404
    return row


def _page(request: Request, view: APIView, rows: QuerySet[Any], shape: Callable[[Any], Any]) -> Response:
    pages = LimitOffsetPagination()
    pages.default_limit = pages.max_limit = settings.REQUEST_LIMITS.page_size
    return pages.get_paginated_response([shape(row) for row in pages.paginate_queryset(rows, request, view) or []])


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > IDEMPOTENCY_KEY_CHARACTERS:
        raise InvalidRequest(f"An Idempotency-Key has at most {IDEMPOTENCY_KEY_CHARACTERS} characters; choose a shorter one.")
    return key or None


class Assets(StudioView):
    """Uploads of the studio."""

    needs: ClassVar = {"GET": Permission.READ, "POST": Permission.UPLOAD}
    parser_classes = (MultiPartParser,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Look at the size before anything reads the body."""
        require_small_body(request._request)
        super().initial(request, *args, **kwargs)

    @extend_schema(responses=shapes.AssetOut(many=True), parameters=PAGING)
    def get(self, request: Request) -> Response:
        """List them, newest first."""
        return _page(request, self, assets_of(self.acting.studio), lambda row: shapes.AssetOut(row).data)

    @extend_schema(request={"multipart/form-data": shapes.AssetIn}, responses={201: shapes.AssetOut})
    def post(self, request: Request) -> Response:
        """Upload a still or a video."""
        given = shapes.AssetIn(data=request.data)
        given.is_valid(raise_exception=True)
        upload = given.validated_data["file"]
        asset = create_asset(
            studio=self.acting.studio,
            kind=given.validated_data["kind"],
            file_name=upload.name,
            chunks=upload.chunks(),
            actor=self.acting.actor,
            user=self.acting.user,
        )
        return Response(shapes.AssetOut(asset).data, status=201)


class AssetDetail(StudioView):
    """One upload."""

    @extend_schema(responses=shapes.AssetOut)
    def get(self, request: Request, asset_id: uuid.UUID) -> Response:
        """Read it."""
        return Response(shapes.AssetOut(_found(asset_of, self.acting, asset_id)).data)


class Jobs(StudioView):
    """Jobs of the studio."""

    needs: ClassVar = {"GET": Permission.READ, "POST": Permission.SUBMIT}
    parser_classes = (PlainJSONParser,)

    @extend_schema(responses=shapes.JobOut(many=True), parameters=PAGING)
    def get(self, request: Request) -> Response:
        """List them, newest first."""
        return _page(request, self, jobs_of(self.acting.studio), lambda row: shapes.job_out(row, request))

    @extend_schema(request=shapes.JobIn, responses={201: shapes.JobOut}, parameters=[IDEMPOTENCY])
    def post(self, request: Request) -> Response:
        """Submit one. The same Idempotency-Key with the same request answers the first job again."""
        key = _idempotency_key(request)
        given = shapes.JobIn(data=request.data)
        given.is_valid(raise_exception=True)
        files = assets_of(self.acting.studio).in_bulk(given.files())
        if len(files) < len(given.files()):
            raise Http404
        job = submit(
            studio=self.acting.studio,
            portrait=files[given.validated_data["portrait"]],
            driving=files[given.validated_data["driving"]],
            cast=given.casting(files),
            request=given.request(),
            idempotency_key=key,
            actor=self.acting.actor,
            user=self.acting.user,
        )
        return Response(shapes.job_out(job, request), status=201)


class JobDetail(StudioView):
    """One job."""

    @extend_schema(responses=shapes.JobOut)
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """Read it."""
        return Response(shapes.job_out(_found(job_of, self.acting, job_id), request))


class JobCancel(StudioView):
    """The end of a job by its studio."""

    needs: ClassVar = {"POST": Permission.SUBMIT}

    @extend_schema(request=None, responses=shapes.JobOut)
    def post(self, request: Request, job_id: uuid.UUID) -> Response:
        """Stop it before release."""
        job: Job = cancel(job=_found(job_of, self.acting, job_id), actor=self.acting.actor)
        return Response(shapes.job_out(job, request))


class OutputDownload(StudioView):
    """The clip of a released job. Its consents are asked for again at each call."""

    needs: ClassVar = {"GET": Permission.DOWNLOAD}

    @extend_schema(responses={(200, "video/mp4"): OpenApiTypes.BINARY})
    def get(self, request: Request, job_id: uuid.UUID) -> HttpResponseBase:
        """Download it; byte ranges are supported."""
        return outputs.download(request._request, self.acting, _found(job_of, self.acting, job_id))


class OutputPoster(StudioView):
    """A still of a released clip, marked for itself. Its consents are asked for again at each call."""

    needs: ClassVar = {"GET": Permission.DOWNLOAD}

    @extend_schema(responses={(200, "image/jpeg"): OpenApiTypes.BINARY}, parameters=[OpenApiParameter("at", float)])
    def get(self, request: Request, job_id: uuid.UUID) -> HttpResponseBase:
        """Cut it, a quarter into the clip or `at` a moment in seconds."""
        given = shapes.PosterIn(data=request.query_params)
        given.is_valid(raise_exception=True)
        return outputs.show_poster(self.acting, _found(job_of, self.acting, job_id), given.validated_data.get("at"))


class People(StudioView):
    """People the studio knows."""

    @extend_schema(responses=shapes.PersonOut(many=True), parameters=PAGING)
    def get(self, request: Request) -> Response:
        """List them by name."""
        return _page(request, self, people_of(self.acting.studio), lambda row: shapes.PersonOut(row).data)


class PersonDetail(StudioView):
    """One person."""

    @extend_schema(responses=shapes.PersonOut)
    def get(self, request: Request, person_id: uuid.UUID) -> Response:
        """Read it."""
        return Response(shapes.PersonOut(_found(person_of, self.acting, person_id)).data)


class Consents(StudioView):
    """Consents the studio holds."""

    @extend_schema(responses=shapes.ConsentOut(many=True), parameters=PAGING)
    def get(self, request: Request) -> Response:
        """List them, newest first."""
        return _page(request, self, consents_of(self.acting.studio), lambda row: shapes.ConsentOut(row).data)


class ConsentDetail(StudioView):
    """One consent."""

    @extend_schema(responses=shapes.ConsentOut)
    def get(self, request: Request, consent_id: uuid.UUID) -> Response:
        """Read it."""
        return Response(shapes.ConsentOut(_found(consent_of, self.acting, consent_id)).data)


class Usage(StudioView):
    """What the studio has used."""

    @extend_schema(responses=shapes.UsageOut)
    def get(self, request: Request) -> Response:
        """Count jobs and released seconds."""
        return Response(usage_of(self.acting.studio))


class PublicView(APIView):
    """A door for everybody. It reads no session, so no other site can use a visitor's."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes: tuple[type[BaseThrottle], ...] = (RequestThrottle,)


class Verify(PublicView):
    """The public answer about any file."""

    parser_classes = (MultiPartParser, FormParser)
    throttle_classes = (RequestThrottle, VerifyThrottle)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count the request and look at its size before anything reads the body."""
        super().initial(request, *args, **kwargs)
        require_small_body(request._request)

    @extend_schema(request={"multipart/form-data": shapes.VerifyIn}, responses=shapes.VerdictOut)
    def post(self, request: Request) -> Response:
        """Examine a file; it is deleted after the answer."""
        return Response(examine_upload(request.FILES.get("file")))


class RecordDetail(PublicView):
    """The record behind a watermark."""

    @extend_schema(responses={200: shapes.RecordOut, 404: OpenApiResponse(description="No such record")})
    def get(self, request: Request, watermark_id: str) -> Response:
        """Read it."""
        found = record_behind(watermark_id)
        if found is None:
            raise Http404
        return Response(found)
