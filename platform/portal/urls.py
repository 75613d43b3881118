"""The routes of the whole site."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny

from portal.views import public, session, studio, trial

handler404 = "portal.problems.not_found"
handler500 = "portal.problems.fault"
JOB = "studios/<slug:slug>/jobs/<uuid:job_id>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", public.landing, name="landing"),
    path("verify/", public.verify, name="verify"),
    path("records/<slug:watermark_id>", public.record, name="record"),
    path("sign-in/", session.SignIn.as_view(), name="sign_in"),
    path("sign-out/", LogoutView.as_view(), name="sign_out"),
    path("studio/", session.my_studio, name="my_studio"),
    path("studios/<slug:slug>/", studio.jobs, name="studio"),
    path("studios/<slug:slug>/new/", studio.new_performance, name="new_performance"),
    path("studios/<slug:slug>/people/", studio.people, name="people"),
    path("studios/<slug:slug>/assets/<uuid:asset_id>/media", studio.asset_media, name="asset_media"),
    path(JOB, studio.job, name="job"),
    path(f"{JOB}progress/", studio.job_progress, name="job_progress"),
    path(f"{JOB}cancel/", studio.cancel_job, name="cancel_job"),
    path(f"{JOB}trial/", trial.trial, name="trial"),
    path(f"{JOB}preview/", trial.preview_still, name="preview"),
    path(f"{JOB}start/", trial.start, name="start_job"),
    path(f"{JOB}again/", trial.again, name="make_again"),
    path(f"{JOB}play", studio.play, name="play"),
    path(f"{JOB}download", studio.download, name="download"),
    path("api/v1/", include("portal.api.urls")),
    path("api/schema/", SpectacularAPIView.as_view(permission_classes=[AllowAny], authentication_classes=[]), name="api_schema"),
]
