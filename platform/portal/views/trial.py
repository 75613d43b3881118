"""Trying settings on stills of a job, and going on with those found."""

from __future__ import annotations

import base64
import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST, require_safe

from generation.errors import InvalidRequest
from generation.models import Job
from generation.options import parse_options
from generation.previews.scene import is_zoomed
from generation.previews.services import is_previewable, moments_of, preview, previews_left
from generation.starting import make_again, start_job
from portal.acting import Acting, job_or_404, studio_page
from portal.forms import TrialForm
from portal.job_view import JobView, view_of
from users.permissions import Permission

TRIAL_READY = "trial-ready"  # the event by which a job's page learns that its settings can be tried


def trial_context(acting: Acting, view: JobView) -> dict[str, Any]:
    """What a job's page needs for its panel; nothing for those who may not submit."""
    may_try = acting.may(Permission.SUBMIT)
    ready = may_try and is_previewable(view.job)
    return {"may_try": may_try, "trial": TrialForm.of(view.job, moments_of(view.job)) if ready else None}


def _valid(request: HttpRequest) -> TrialForm:
    form = TrialForm(request.POST)
    if not form.is_valid():
        problems = (f"{form.fields[name].label}: {errors[0]}" for name, errors in form.errors.items() if name in form.fields)
        raise InvalidRequest(" ".join(map(str, problems)) or "Some setting is out of its range; move it back.")
    return form


@require_safe
@studio_page(Permission.SUBMIT)
def trial(request: HttpRequest, acting: Acting, job_id: uuid.UUID) -> HttpResponse:
    """The panel alone, for a page that was open before the job was cleared."""
    view = view_of(job_or_404(acting, job_id))
    context = trial_context(acting, view)
    if context["trial"] is None:
        raise Http404
    return render(request, "portal/fragments/trial.html", {"acting": acting, "view": view, "job": view.job, **context})


@require_POST
@studio_page(Permission.SUBMIT)
def preview_still(request: HttpRequest, acting: Acting, job_id: uuid.UUID) -> HttpResponse:
    """A preview with the settings sent. A browser without scripts gets the picture itself."""
    job: Job = job_or_404(acting, job_id)
    form = _valid(request)
    options = form.options()
    picture = preview(job=job, options=options, moment=form.cleaned_data["moment"], actor=acting.actor)
    private = {"Cache-Control": "private, no-store"}
    if request.headers.get("HX-Request") != "true":
        return HttpResponse(picture.png, content_type="image/png", headers=private)
    # inside the page, because the content security policy allows pictures of this site's addresses only
    encoded = base64.b64encode(picture.png).decode()
    zoomed = is_zoomed(job, parse_options(options).shape)
    context = {"png": encoded, "at_s": picture.row.at_s, "left": previews_left(acting.studio), "zoomed": zoomed}
    return HttpResponse(render_to_string("portal/fragments/still.html", context, request), headers=private)


@require_POST
@studio_page(Permission.SUBMIT)
def start(request: HttpRequest, acting: Acting, job_id: uuid.UUID) -> HttpResponse:
    """Send a waiting job on with the settings sent."""
    started = start_job(job=job_or_404(acting, job_id), options=_valid(request).options(), actor=acting.actor)
    return redirect("job", slug=acting.studio.slug, job_id=started.pk)


@require_POST
@studio_page(Permission.SUBMIT)
def again(request: HttpRequest, acting: Acting, job_id: uuid.UUID) -> HttpResponse:
    """A new job of the same files with the settings sent; sent twice, it is one job."""
    made = make_again(job=job_or_404(acting, job_id), options=_valid(request).options(), actor=acting.actor, user=acting.user)
    return redirect("job", slug=acting.studio.slug, job_id=made.pk)
