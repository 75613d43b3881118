"""Errors of the API, all in one shape: {"type", "errors": [{"code", "detail", "attr"}]}."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from media.errors import CountersignError
from portal.problems import headers_of, sentence, status_of

ErrorItem = dict[str, str | None]


def handle(exception: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an exception of a view. Anything unknown goes on to Django, which logs it and answers 500."""
    if isinstance(exception, CountersignError):
        status = status_of(exception)
        item: ErrorItem = {"code": exception.code, "detail": sentence(exception.message), "attr": None}
        return Response(_body(status, [item]), status=status, headers=headers_of(exception))
    response = exception_handler(exception, context)  # adds WWW-Authenticate and Retry-After, and ends the transaction
    if response is None:
        return None
    response.data = _body(response.status_code, list(_items(exception)), is_form=isinstance(exception, ValidationError))
    return response


def _body(status: int, errors: list[ErrorItem], *, is_form: bool = False) -> dict[str, Any]:
    kind = "validation_error" if is_form or status == 422 else "server_error" if status >= 500 else "client_error"
    return {"type": kind, "errors": errors}


def _items(exception: Exception) -> Iterator[ErrorItem]:
    if isinstance(exception, APIException):
        yield from _flatten(exception.detail, attr=None)
    elif isinstance(exception, Http404):
        yield {"code": "not_found", "detail": "There is no such thing here; check its id.", "attr": None}
    elif isinstance(exception, PermissionDenied):
        yield {"code": "permission_denied", "detail": "This is not allowed; ask the studio's owner.", "attr": None}


def _flatten(detail: Any, attr: str | None) -> Iterator[ErrorItem]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flatten(inner, name if attr is None else f"{attr}.{name}")
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flatten(inner, attr)
    else:
        code = detail.code if isinstance(detail, ErrorDetail) else "invalid"
        yield {"code": code, "detail": str(detail), "attr": None if attr == "non_field_errors" else attr}
