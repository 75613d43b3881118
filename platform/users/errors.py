"""The errors of `users`."""

from __future__ import annotations

from media.errors import CountersignError


class UsersError(CountersignError):
    """Root of the errors of `users`."""

    code = "users_error"


class UnsuitableName(UsersError):
    """A slug, e-mail address or name that cannot be used."""

    code = "unsuitable_name"


class AlreadyTaken(UsersError):
    """A slug or e-mail address that belongs to another."""

    code = "already_taken"


class UnknownRole(UsersError):
    """A role or scope that is not in the table."""

    code = "unknown_role"


class LastOwner(UsersError):
    """A change that would leave a studio without an owner."""

    code = "last_owner"
