"""Addresses of the API, version 1."""

from __future__ import annotations

from django.urls import path

from portal.api import trial, views

urlpatterns = [
    path("assets/", views.Assets.as_view(), name="api_assets"),
    path("assets/<uuid:asset_id>/", views.AssetDetail.as_view(), name="api_asset"),
    path("jobs/", views.Jobs.as_view(), name="api_jobs"),
    path("jobs/<uuid:job_id>/", views.JobDetail.as_view(), name="api_job"),
    path("jobs/<uuid:job_id>/cancel/", views.JobCancel.as_view(), name="api_job_cancel"),
    path("jobs/<uuid:job_id>/preview/", trial.JobPreview.as_view(), name="api_job_preview"),
    path("jobs/<uuid:job_id>/start/", trial.JobStart.as_view(), name="api_job_start"),
    path("jobs/<uuid:job_id>/again/", trial.JobAgain.as_view(), name="api_job_again"),
    path("outputs/<uuid:job_id>/download", views.OutputDownload.as_view(), name="api_output_download"),
    path("outputs/<uuid:job_id>/poster", views.OutputPoster.as_view(), name="api_output_poster"),
    path("people/", views.People.as_view(), name="api_people"),
    path("people/<uuid:person_id>/", views.PersonDetail.as_view(), name="api_person"),
    path("consents/", views.Consents.as_view(), name="api_consents"),
    path("consents/<uuid:consent_id>/", views.ConsentDetail.as_view(), name="api_consent"),
    path("usage/", views.Usage.as_view(), name="api_usage"),
    path("verify/", views.Verify.as_view(), name="api_verify"),
    path("records/<slug:watermark_id>", views.RecordDetail.as_view(), name="api_record"),
]
