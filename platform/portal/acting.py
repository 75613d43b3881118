"""On whose behalf a request acts: a member of a studio, or a studio's API key. Pages and API share it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from generation.models import Job
from generation.selectors import job_of
from users.models import ApiKey, Studio, User
from users.permissions import ROLE_PERMISSIONS, Permission
from users.selectors import membership, studio_by_slug


@dataclass(frozen=True, slots=True)
class Acting:
    """A studio, who works for it, and what they may do. `actor` is how the audit log names them."""

    studio: Studio
    actor: str
    permissions: frozenset[Permission]
    user: User | None = None

    def may(self, permission: str) -> bool:
        """Whether this request may do that in its studio."""
        return permission in self.permissions


def acting_as_member(user: User, studio: Studio) -> Acting | None:
    """A member acting for their studio, or None for everybody else."""
    member = membership(user, studio)
    if member is None:
        return None
    return Acting(studio, f"user:{user.pk}", ROLE_PERMISSIONS.get(member.role, frozenset()), user)


def acting_by_key(key: ApiKey) -> Acting:
    """A studio's program, with the scopes of its key."""
    scopes = frozenset(permission for permission in Permission if permission in key.scopes)
    return Acting(key.studio, f"key:{key.pk}", scopes)


def job_or_404(acting: Acting, job_id: uuid.UUID) -> Job:
    """A job of the studio one acts for; another studio's reads like none at all."""
    job = job_of(acting.studio, job_id)
    if job is None:
        raise Http404
    return job


StudioView = Callable[..., HttpResponseBase]


def studio_page(permission: Permission) -> Callable[[StudioView], Callable[..., HttpResponseBase]]:
    """Give a page `(request, acting, ...)` for the studio of its `slug`.

    Anonymous visitors are sent to sign in; a studio one does not work in reads like none at all (404).
    """

    def decorate(view: StudioView) -> Callable[..., HttpResponseBase]:
        @login_required
        @wraps(view)
        def page(request: HttpRequest, slug: str, **kwargs: Any) -> HttpResponseBase:
            studio = studio_by_slug(slug)
            acting = acting_as_member(request.user, studio) if studio and isinstance(request.user, User) else None
            if acting is None:
                raise Http404
            if not acting.may(permission):
                raise PermissionDenied("Your role in this studio does not allow this; ask its owner.")
            return view(request, acting, **kwargs)

        return page

    return decorate
