"""What the tests of the site and of its API start from."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client
from portal_material import World, make_world

from users.models import Studio, User


@pytest.fixture(autouse=True)
def _fresh_quotas() -> None:
    cache.clear()


@pytest.fixture
def world(studio: Studio) -> World:
    return make_world(studio)


@pytest.fixture
def member(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
