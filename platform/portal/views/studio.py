"""A studio's pages: its jobs, a new one, one job from submission to clip, and its people."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from generation.models import Job
from generation.previews.services import is_previewable
from generation.selectors import asset_of, jobs_of
from generation.services import cancel, create_asset, submit
from portal import outputs
from portal.acting import Acting, job_or_404, studio_page
from portal.forms import NewPerformanceForm
from portal.job_view import JobView, view_of
from portal.selectors import consents_of_job, names_of_jobs, people_of
from portal.views.trial import TRIAL_READY, trial_context
from users.permissions import Permission

HTMX_STOP_POLLING = 286
Context = dict[str, object]


@require_safe
@studio_page(Permission.READ)
def jobs(request: HttpRequest, acting: Acting) -> HttpResponse:
    """The studio's jobs, newest first."""
    page = Paginator(jobs_of(acting.studio), settings.REQUEST_LIMITS.page_size).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    names = names_of_jobs(shown)
    rows = [view_of(job, names[job.pk]) for job in shown]
    return render(request, "portal/studio.html", {"acting": acting, "page": page, "rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@studio_page(Permission.SUBMIT)
def new_performance(request: HttpRequest, acting: Acting) -> HttpResponse:
    """Upload both files, choose, submit. With htmx only the errors come back, so that chosen files stay chosen."""
    if request.method != "POST":
        return render(request, "portal/new_performance.html", {"acting": acting, "form": NewPerformanceForm.fresh()})
    form = NewPerformanceForm(request.POST, request.FILES)
    fragment = request.headers.get("HX-Request") == "true"
    if not form.is_valid():
        template = "portal/fragments/form_errors.html" if fragment else "portal/new_performance.html"
        return render(request, template, {"acting": acting, "form": form}, status=422)
    address = reverse("job", args=[acting.studio.slug, _submit(acting, form).pk])
    return HttpResponse(headers={"HX-Redirect": address}) if fragment else redirect(address)


def _submit(acting: Acting, form: NewPerformanceForm) -> Job:
    assets = {}
    for name, kind in form.kinds().items():
        upload = form.cleaned_data[name]
        assets[name] = create_asset(
            studio=acting.studio, kind=kind, file_name=upload.name, chunks=upload.chunks(), actor=acting.actor, user=acting.user
        )
    return submit(
        studio=acting.studio,
        portrait=assets["portrait"],
        driving=assets["driving"],
        request=form.request(),
        idempotency_key=form.cleaned_data["idempotency_key"] or None,
        actor=acting.actor,
        user=acting.user,
    )


@require_safe
@studio_page(Permission.READ)
def job(request: HttpRequest, acting: Acting, job_id: uuid.UUID) -> HttpResponse:
    """One job: how far it is, why it stopped, or the clip with its provenance."""
    return render(request, "portal/job.html", _job_context(acting, view_of(job_or_404(acting, job_id))))


@require_safe
@studio_page(Permission.READ)
def job_progress(request: HttpRequest, acting: Acting, job_id: uuid.UUID) -> HttpResponse:
    """What changed since the version the page shows: 204 for nothing, 286 when there is nothing more to wait for."""
    view = view_of(job_or_404(acting, job_id))
    if not view.is_settled and request.GET.get("seen") == view.version:
        return HttpResponse(status=204)
    status = HTMX_STOP_POLLING if view.is_settled else 200
    response = render(request, "portal/fragments/job.html", _job_context(acting, view), status=status)
    if is_previewable(view.job) and not view.is_waiting:  # a waiting job brings its panel along
        response.headers["HX-Trigger"] = TRIAL_READY
    return response


def _job_context(acting: Acting, view: JobView) -> Context:
    return {"acting": acting, "view": view, "job": view.job, "consents": consents_of_job(view.job), **trial_context(acting, view)}


@require_POST
@studio_page(Permission.SUBMIT)
def cancel_job(request: HttpRequest, acting: Acting, job_id: uuid.UUID) -> HttpResponse:
    """Stop a job before its release."""
    cancelled = cancel(job=job_or_404(acting, job_id), actor=acting.actor)
    return redirect("job", slug=acting.studio.slug, job_id=cancelled.pk)


@require_safe
@studio_page(Permission.READ)
def play(request: HttpRequest, acting: Acting, job_id: uuid.UUID) -> HttpResponseBase:
    """The released clip for the player of the job page."""
    return outputs.play(request, acting, job_or_404(acting, job_id))


@require_safe
@studio_page(Permission.DOWNLOAD)
def download(request: HttpRequest, acting: Acting, job_id: uuid.UUID) -> HttpResponseBase:
    """The released clip as a file."""
    return outputs.download(request, acting, job_or_404(acting, job_id))


@require_safe
@studio_page(Permission.READ)
def asset_media(request: HttpRequest, acting: Acting, asset_id: uuid.UUID) -> HttpResponseBase:
    """An upload in its normalised form."""
    asset = asset_of(acting.studio, asset_id)
    if asset is None:
        raise Http404
    return outputs.show_asset(request, asset)


@require_safe
@studio_page(Permission.READ)
def people(request: HttpRequest, acting: Acting) -> HttpResponse:
    """The people a studio knows and what they agreed to."""
    return render(request, "portal/people.html", {"acting": acting, "people": people_of(acting.studio)})
