"""How an error of the product is answered over HTTP: its status, and a page that says what to do."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.defaults import page_not_found, server_error

from media.errors import CountersignError

API_PREFIX = "/api/"
STATUS_BY_CODE = {
    "bad_input": 422,
    "invalid_request": 422,
    "consent_refused": 403,
    "refused": 403,
    "output_unavailable": 403,
    "not_released": 409,
    "idempotency_conflict": 409,
    "illegal_move": 409,
    "artefact_changed": 409,
    "too_large": 413,
    "examination_too_long": 413,
    "too_many_requests": 429,
    "too_many_jobs": 429,
    "not_previewable": 409,
    "too_many_previews": 429,
    "previews_busy": 503,
    "preview_failed": 503,
    "busy": 503,
}
# about what an examination, a job or a preview takes; an error that knows better says so by `retry_after_s`
RETRY_AFTER_SECONDS = {"busy": 30, "too_many_jobs": 60, "previews_busy": 3, "preview_failed": 10}
TITLE_BY_STATUS = {
    403: "This is not available",
    409: "Not now",
    413: "That file is too large",
    422: "That did not work",
    429: "Please wait a little",
    503: "Please wait a little",
}


def status_of(error: CountersignError) -> int:
    """The HTTP status of an error. A code without a row is a fault of ours: 500, or 503 when trying again can help."""
    return STATUS_BY_CODE.get(error.code, 500 if error.permanent else 503)


def headers_of(error: CountersignError) -> dict[str, str]:
    """What an answer says beside its body: when to try again, for errors that pass by themselves (RFC 9110, section 10.2.3)."""
    seconds = getattr(error, "retry_after_s", None) or RETRY_AFTER_SECONDS.get(error.code)
    return {"Retry-After": str(seconds)} if seconds else {}


def sentence(message: str) -> str:
    """A message with its first letter in upper case."""
    return message[:1].upper() + message[1:]


def problem_page(request: HttpRequest, error: CountersignError) -> HttpResponse:
    """A page, or for htmx a fragment, that says what went wrong and what to do."""
    status = status_of(error)
    fragment = request.headers.get("HX-Request") == "true"
    template = "portal/fragments/problem.html" if fragment else "portal/problem.html"
    title = TITLE_BY_STATUS.get(status, "Something went wrong on our side")
    context = {"title": title, "message": sentence(error.message), "code": error.code}
    response = render(request, template, context, status=status)
    for name, value in headers_of(error).items():
        response.headers[name] = value
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """404, as a page or in the shape of the API."""
    if request.path.startswith(API_PREFIX):
        return _api_error(404, "client_error", "not_found", "There is nothing at this address; read the schema at /api/schema/.")
    return page_not_found(request, exception)


def fault(request: HttpRequest) -> HttpResponseBase:
    """500, as a page or in the shape of the API. What broke is in the log alone."""
    if request.path.startswith(API_PREFIX):
        return _api_error(500, "server_error", "internal_error", "Something broke on our side; try again in a few minutes.")
    return server_error(request)


def _api_error(status: int, kind: str, code: str, detail: str) -> JsonResponse:
    return JsonResponse({"type": kind, "errors": [{"code": code, "detail": detail, "attr": None}]}, status=status)


class ProblemPages:
    """Middleware that turns an error of the product into its page, so that views need not."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass requests on."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer errors that a user may read; leave the rest to Django."""
        return problem_page(request, exception) if isinstance(exception, CountersignError) else None
