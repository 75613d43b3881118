"""Writes of the users room. Every one of them is recorded in the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from audit.services import record_event

from .errors import AlreadyTaken, LastOwner, UnknownRole, UnsuitableName
from .keys import PREFIX_LENGTH, hash_api_key, new_secret
from .models import ApiKey, Membership, Role, Studio, User
from .permissions import KEY_SCOPES


@transaction.atomic
def create_user(*, email: str, password: str | None, name: str = "", actor: str = "system") -> User:
    """Create a user who signs in by e-mail address; without a password by other means only.

    Raises: UnsuitableName, AlreadyTaken.
    """
    user = User(email=email.strip().lower(), name=name.strip())
    user.set_password(password)
    _check(user)
    user.save(force_insert=True)
    record_event(actor=actor, action="user.created", subject_type="user", subject_id=str(user.id), studio_id=None, detail={})
    return user


@transaction.atomic
def create_studio(*, slug: str, name: str, public_name: str | None = None, actor: str = "system") -> Studio:
    """Create a studio. `public_name` is given only when the studio agreed to be named in public answers.

    Raises: UnsuitableName, AlreadyTaken.
    """
    studio = Studio(slug=slug, name=name.strip(), public_name=public_name)
    _check(studio)
    studio.save(force_insert=True)
    record_event(
        actor=actor,
        action="studio.created",
        subject_type="studio",
        subject_id=str(studio.id),
        studio_id=studio.id,
        detail={"slug": slug},
    )
    return studio


@transaction.atomic
def set_member(*, studio: Studio, user: User, role: str, actor: str = "system") -> Membership:
    """Give a user a role in a studio, or change the role they have.

    Raises: UnknownRole; LastOwner when the only owner would lose that role.
    """
    if role not in Role.values:
        raise UnknownRole(f"There is no role {role!r}; choose one of {', '.join(Role.values)}.")
    _lock(studio)
    if role != Role.OWNER:
        _require_another_owner(studio, user)
    member, _created = Membership.objects.update_or_create(studio=studio, user=user, defaults={"role": role})
    _record_member(member, "member.set", actor)
    return member


@transaction.atomic
def remove_member(*, studio: Studio, user: User, actor: str = "system") -> None:
    """Take a user out of a studio; nothing happens when they are not in it.

    Raises: LastOwner when they are its only owner.
    """
    _lock(studio)
    _require_another_owner(studio, user)
    for member in Membership.objects.filter(studio=studio, user=user):
        _record_member(member, "member.removed", actor)
        member.delete()


@transaction.atomic
def create_api_key(
    *,
    studio: Studio,
    name: str,
    scopes: Iterable[str],
    created_by: User | None,
    expires_at: datetime | None = None,
    actor: str = "system",
) -> tuple[ApiKey, str]:
    """Create a key for the REST API, and return it with its secret, which cannot be had again.

    Raises: UnknownRole for a scope that no key may have.
    """
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in KEY_SCOPES]
    if unknown or not wanted:
        raise UnknownRole(f"A key cannot have the scopes {unknown}; choose from {', '.join(sorted(KEY_SCOPES))}.")
    secret = new_secret()
    key = ApiKey.objects.create(
        studio=studio,
        name=name.strip(),
        prefix=secret[:PREFIX_LENGTH],
        hashed=hash_api_key(secret),
        scopes=wanted,
        created_by=created_by,
        expires_at=expires_at,
    )
    _record_key(key, "api_key.created", actor)
    return key, secret


@transaction.atomic
def revoke_api_key(*, key: ApiKey, actor: str = "system") -> bool:
    """End a key at once; False when it had ended before."""
    changed = ApiKey.objects.filter(id=key.id, revoked_at=None).update(revoked_at=timezone.now())
    if changed:
        _record_key(key, "api_key.revoked", actor)
    return bool(changed)


def _check(subject: Model) -> None:
    """Turn Django's validation into our errors; messages never repeat a password."""
    try:
        subject.clean_fields()
    except ValidationError as error:
        raise UnsuitableName(f"{_by_field(error)} Correct it and try again.") from error
    try:
        subject.validate_unique()
    except ValidationError as error:
        raise AlreadyTaken(f"{_by_field(error)} Choose another.") from error


def _by_field(error: ValidationError) -> str:
    fields = error.message_dict.items()
    return "; ".join(f"{name.replace('_', ' ').strip().capitalize()}: {' '.join(messages)}" for name, messages in fields)


def _lock(studio: Studio) -> None:
    # two owners who remove each other at once must not both succeed
    Studio.objects.select_for_update().get(id=studio.id)


def _require_another_owner(studio: Studio, user: User) -> None:
    owners = Membership.objects.filter(studio=studio, role=Role.OWNER)
    if owners.filter(user=user).exists() and not owners.exclude(user=user).exists():
        raise LastOwner("This is the studio's only owner; make somebody else an owner first.")


def _record_member(member: Membership, action: str, actor: str) -> None:
    record_event(
        actor=actor,
        action=action,
        subject_type="user",
        subject_id=str(member.user_id),
        studio_id=member.studio_id,
        detail={"role": str(member.role)},
    )


def _record_key(key: ApiKey, action: str, actor: str) -> None:
    record_event(
        actor=actor,
        action=action,
        subject_type="api_key",
        subject_id=str(key.id),
        studio_id=key.studio_id,
        detail={"prefix": key.prefix, "scopes": key.scopes},
    )
