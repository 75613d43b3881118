"""The one table of who may do what in a studio. Roles of members and scopes of API keys use the same words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """Something a member or an API key may do in its studio."""

    READ = "read"  # see assets, people, consents, jobs and outputs
    UPLOAD = "upload"
    SUBMIT = "submit"  # create and cancel jobs
    DOWNLOAD = "download"
    MANAGE_PEOPLE = "manage_people"  # people and requests for their consent
    MANAGE_KEYS = "manage_keys"
    MANAGE_MEMBERS = "manage_members"


_VIEWER = frozenset({Permission.READ, Permission.DOWNLOAD})
_ARTIST = _VIEWER | {Permission.UPLOAD, Permission.SUBMIT}
_PRODUCER = _ARTIST | {Permission.MANAGE_PEOPLE}
_OWNER = frozenset(Permission)

ROLE_PERMISSIONS: Mapping[str, frozenset[Permission]] = {
    "viewer": _VIEWER,
    "artist": _ARTIST,
    "producer": _PRODUCER,
    "owner": _OWNER,
}

# a key that leaks must not be able to make more keys or members
KEY_SCOPES: frozenset[Permission] = _OWNER - {Permission.MANAGE_KEYS, Permission.MANAGE_MEMBERS}


def role_allows(role: str, permission: Permission) -> bool:
    """Tell whether a role includes a permission; an unknown role includes none."""
    return permission in ROLE_PERMISSIONS.get(role, frozenset())
