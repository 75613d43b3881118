"""Pages for everybody: what this is, verifying a file, and the record behind a watermark."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_safe

from generation.verdict_words import what_ended
from portal.body_limits import require_small_body
from portal.examination import examine_upload
from portal.selectors import record_behind
from portal.throttles import VerifyThrottle, require_quota
from portal.verdict_view import record_facts, verdict_view


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What Countersign is, and a place to drop a file."""
    return render(request, "portal/landing.html")


@csrf_exempt  # not without the check: it reads the body, so it comes after the quota
@require_http_methods(["GET", "HEAD", "POST"])
def verify(request: HttpRequest) -> HttpResponse:
    """Drop a file, read the verdict. htmx gets the verdict alone, a browser without scripts the whole page."""
    if request.method == "POST":
        require_quota(VerifyThrottle(), request)
        require_small_body(request)
    return _verify(request)


@csrf_protect
def _verify(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return render(request, "portal/verify.html")
    result = verdict_view(examine_upload(request.FILES.get("file")))
    fragment = request.headers.get("HX-Request") == "true"
    return render(request, "portal/fragments/verdict.html" if fragment else "portal/verify.html", {"result": result})


@require_safe
def record(request: HttpRequest, watermark_id: str) -> HttpResponse:
    """What anybody may know of the clip that carries this watermark."""
    found = record_behind(watermark_id)
    if found is None:
        raise Http404
    return render(
        request, "portal/record.html", {**found, "facts": record_facts(found["record"]), "ended": what_ended(found["record"])}
    )
