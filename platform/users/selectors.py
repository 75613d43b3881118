"""Reads of the users room."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet
from django.utils import timezone

from .keys import hash_api_key
from .models import ApiKey, Membership, Studio, User
from .permissions import Permission, role_allows


def studio_by_slug(slug: str) -> Studio | None:
    """Return the studio of a slug, or None."""
    return Studio.objects.filter(slug=slug).first()


def user_by_email(email: str) -> User | None:
    """Return the user of an e-mail address, whatever its case, or None."""
    return User.objects.filter(email=email.strip().lower()).first()


def studios_of(user: User) -> QuerySet[Studio]:
    """Return the studios a user works in, by name."""
    return Studio.objects.filter(memberships__user=user).order_by("name", "slug")


def membership(user: User, studio: Studio) -> Membership | None:
    """Return a user's membership in a studio, or None; of an inactive user always None."""
    return Membership.objects.filter(user=user, studio=studio, user__is_active=True).first()


def may(user: User, studio: Studio, permission: Permission) -> bool:
    """Tell whether a user may do something in a studio."""
    member = membership(user, studio)
    return member is not None and role_allows(member.role, permission)


def api_key_by_secret(secret: str, *, now: datetime | None = None) -> ApiKey | None:
    """Return the key of a secret with its studio, or None when it is unknown, revoked or expired."""
    at = now or timezone.now()
    live = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=at))
    return ApiKey.objects.select_related("studio").filter(live, hashed=hash_api_key(secret)).first()


def key_allows(key: ApiKey, permission: Permission) -> bool:
    """Tell whether a key's scopes include a permission."""
    return permission in key.scopes
