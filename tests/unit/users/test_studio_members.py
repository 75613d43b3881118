"""Users, studios, roles and API keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.models import Event
from audit.selectors import verify_chain
from users.errors import AlreadyTaken, LastOwner, UnknownRole, UnsuitableName
from users.models import ApiKey, Membership, Studio, User
from users.permissions import KEY_SCOPES, ROLE_PERMISSIONS, Permission, role_allows
from users.selectors import api_key_by_secret, key_allows, may, membership, studio_by_slug, studios_of, user_by_email
from users.services import create_api_key, create_studio, create_user, remove_member, revoke_api_key, set_member

MakeMember = Callable[[Studio, str], Membership]


def test_a_user_signs_in_by_email_address_in_any_case(user: User, password: str) -> None:
    assert authenticate(username="Producer@Example.ORG", password=password) == user
    assert user_by_email(" PRODUCER@example.org") == user


def test_a_user_without_a_password_cannot_sign_in_by_one(db: None) -> None:
    create_user(email="invited@example.org", password=None)
    assert authenticate(username="invited@example.org", password="") is None


@pytest.mark.parametrize("email", ["", "no address", "a@b", "a" * 250 + "@example.org"])
def test_what_is_no_email_address_is_refused(db: None, email: str) -> None:
    with pytest.raises(UnsuitableName):
        create_user(email=email, password=None)


def test_an_email_address_belongs_to_one_user(user: User) -> None:
    with pytest.raises(AlreadyTaken, match="Choose another"):
        create_user(email="PRODUCER@EXAMPLE.ORG", password=None)


def test_the_database_keeps_addresses_in_lower_case(db: None) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.bulk_create([User(email="Mixed@example.org")])


def test_a_studio_is_found_by_its_slug(studio: Studio) -> None:
    assert studio_by_slug("north-light") == studio
    assert studio_by_slug("nobody") is None


@pytest.mark.parametrize("slug", ["", "Upper", "two--hyphens", "-edge", "edge-", "a b", "a/b", "é", "a\n", "x" * 51])
def test_a_slug_that_could_mislead_in_an_address_is_refused(db: None, slug: str) -> None:
    with pytest.raises(UnsuitableName):
        create_studio(slug=slug, name="Name")


def test_a_slug_belongs_to_one_studio(studio: Studio) -> None:
    with pytest.raises(AlreadyTaken):
        create_studio(slug="north-light", name="Another")


def test_a_member_of_one_studio_may_do_nothing_in_another(user: User, studio: Studio, other_studio: Studio) -> None:
    assert may(user, studio, Permission.SUBMIT)
    assert not any(may(user, other_studio, permission) for permission in Permission)
    assert list(studios_of(user)) == [studio]


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("viewer", {"read", "download"}),
        ("artist", {"read", "download", "upload", "submit"}),
        ("producer", {"read", "download", "upload", "submit", "manage_people"}),
        ("owner", set(Permission)),
        ("nonsense", set()),
    ],
)
def test_the_table_says_what_each_role_may_do(role: str, allowed: set[str]) -> None:
    assert {permission for permission in Permission if role_allows(role, permission)} == allowed


def test_every_role_of_the_model_is_in_the_table() -> None:
    assert set(ROLE_PERMISSIONS) == {value for value, _label in Membership._meta.get_field("role").choices or []}


def test_a_user_who_was_switched_off_may_do_nothing(user: User, studio: Studio) -> None:
    User.objects.filter(id=user.id).update(is_active=False)
    assert membership(user, studio) is None
    assert not may(user, studio, Permission.READ)


def test_a_new_role_replaces_the_old_one(user: User, studio: Studio) -> None:
    set_member(studio=studio, user=user, role="viewer")
    assert Membership.objects.get(user=user, studio=studio).role == "viewer"


def test_a_role_outside_of_the_table_is_refused(user: User, studio: Studio) -> None:
    with pytest.raises(UnknownRole, match="choose one of"):
        set_member(studio=studio, user=user, role="emperor")


def test_the_only_owner_of_a_studio_can_neither_leave_nor_step_down(studio: Studio, make_member: MakeMember) -> None:
    owner = make_member(studio, "owner").user
    with pytest.raises(LastOwner):
        remove_member(studio=studio, user=owner)
    with pytest.raises(LastOwner):
        set_member(studio=studio, user=owner, role="viewer")
    assert may(owner, studio, Permission.MANAGE_MEMBERS)


def test_an_owner_can_leave_when_there_is_another(studio: Studio, user: User, make_member: MakeMember) -> None:
    owner = make_member(studio, "owner").user
    set_member(studio=studio, user=user, role="owner")
    remove_member(studio=studio, user=owner)
    assert membership(owner, studio) is None


def make_key(studio: Studio, **options: object) -> tuple[ApiKey, str]:
    return create_api_key(studio=studio, name="build machine", scopes=["read"], created_by=None, **options)  # type: ignore[arg-type]


def test_a_key_opens_its_own_studio_and_only_for_its_scopes(studio: Studio) -> None:
    key, secret = make_key(studio)
    found = api_key_by_secret(secret)
    assert found == key
    assert found is not None
    assert found.studio == studio
    assert key_allows(found, Permission.READ)
    assert not key_allows(found, Permission.SUBMIT)


def test_the_secret_of_a_key_is_kept_nowhere(studio: Studio) -> None:
    key, secret = make_key(studio)
    stored = str(ApiKey.objects.filter(id=key.id).values().get()) + str(list(Event.objects.values()))
    assert secret not in stored
    assert secret[9:] not in stored


@pytest.mark.parametrize("secret", ["", "cs_", "cs_nonsense"])
def test_an_unknown_key_opens_nothing(studio: Studio, secret: str) -> None:
    make_key(studio)
    assert api_key_by_secret(secret) is None


def test_a_key_ends_when_it_expires(studio: Studio) -> None:
    _key, secret = make_key(studio, expires_at=timezone.now() + timedelta(hours=1))
    assert api_key_by_secret(secret) is not None
    assert api_key_by_secret(secret, now=timezone.now() + timedelta(hours=2)) is None


def test_a_revoked_key_is_dead_at_once_and_can_be_revoked_once(studio: Studio) -> None:
    key, secret = make_key(studio)
    assert revoke_api_key(key=key)
    assert api_key_by_secret(secret) is None
    assert not revoke_api_key(key=key)


@pytest.mark.parametrize("scopes", [[], ["manage_keys"], ["read", "manage_members"], ["nonsense"]])
def test_a_key_cannot_be_given_power_over_keys_and_members(studio: Studio, scopes: list[str]) -> None:
    with pytest.raises(UnknownRole):
        create_api_key(studio=studio, name="x", scopes=scopes, created_by=None)
    assert {"manage_keys", "manage_members"}.isdisjoint(KEY_SCOPES)


def test_every_change_is_in_the_audit_log_with_its_studio(studio: Studio, user: User) -> None:
    key, _secret = make_key(studio)
    revoke_api_key(key=key)
    remove_member(studio=studio, user=user)
    actions = list(Event.objects.order_by("sequence").values_list("action", "studio_id"))
    assert actions == [
        ("studio.created", studio.id),
        ("user.created", None),
        ("member.set", studio.id),
        ("api_key.created", studio.id),
        ("api_key.revoked", studio.id),
        ("member.removed", studio.id),
    ]
    assert verify_chain().ok
