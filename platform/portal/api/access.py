"""Who calls the API: a signed-in member, or a program with its studio's key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from django.contrib.auth.models import AnonymousUser
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from portal.acting import Acting, acting_as_member, acting_by_key
from portal.throttles import RequestThrottle
from users.models import ApiKey, User
from users.permissions import Permission
from users.selectors import api_key_by_secret, studio_by_slug, studios_of

STUDIO_HEADER = "X-Studio"


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer KEY` (RFC 6750)."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        """Return the key, or None when the request carries none."""
        scheme, _, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = api_key_by_secret(secret.strip())
        if key is None:
            raise AuthenticationFailed("This key is unknown, revoked or expired; create a new one in the studio.")
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        """Answer 401, not 403, to callers without credentials."""
        return "Bearer"


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself, untyped there
    """How the API reference names the key."""

    target_class = ApiKeyAuthentication
    name = "studioKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """The HTTP bearer scheme."""
        return {"type": "http", "scheme": "bearer", "description": "A studio's API key."}


def acting_in(request: Request) -> Acting | None:
    """On whose behalf a request acts, or None.

    A member of several studios names one in the header `X-Studio`; raises ValidationError when that is missing.
    """
    if isinstance(request.auth, ApiKey):
        return acting_by_key(request.auth)
    if not isinstance(request.user, User):
        return None
    slug = request.headers.get(STUDIO_HEADER)
    if slug:
        studio = studio_by_slug(slug)
        return acting_as_member(request.user, studio) if studio else None
    studios = list(studios_of(request.user)[:2])
    if len(studios) > 1:
        raise ValidationError({STUDIO_HEADER: "You work in several studios; name one by its slug in this header."})
    return acting_as_member(request.user, studios[0]) if studios else None


class InStudio(BasePermission):
    """Lets a request through when its studio gave it the permission that the view's table names for the method."""

    message = "This needs a permission that your role or key does not have; ask the studio's owner."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Resolve the studio once and keep it on the view."""
        acting = acting_in(request)
        needed = getattr(view, "needs", {}).get(request.method)
        if acting is None or needed is None or not acting.may(needed):
            return False
        view.acting = acting  # type: ignore[attr-defined]  # every view with this class is a StudioView
        return True


class StudioView(APIView):
    """A view of one studio's things. `needs` names the permission of each method; a method without one is refused."""

    authentication_classes = (ApiKeyAuthentication, SessionAuthentication)
    permission_classes = (InStudio,)
    throttle_classes = (RequestThrottle,)
    needs: ClassVar[Mapping[str, Permission]] = {"GET": Permission.READ, "HEAD": Permission.READ}
    acting: Acting
