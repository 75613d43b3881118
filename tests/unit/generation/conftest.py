"""A portrait of two people, two drivers and everybody's consent, for the tests of casting, warnings and motion templates."""

from __future__ import annotations

from pathlib import Path

import pytest
from casting_material import stand_in, upload
from pytest_django.fixtures import Settings
from quick_engine import Asked
from stage_material import HER, HERS_TOO, HIM, HIS_FRIEND, SECOND_RATE, Sight, agree, write_driver, write_portrait

from consent.models import Consent
from consent.policy import Role
from generation.models import Asset
from users.models import Studio


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def sight(asked: Asked, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Sight:
    sight = Sight()
    stand_in(sight, asked, settings, monkeypatch)
    return sight


@pytest.fixture
def portrait(studio: Studio, tmp_path: Path) -> Asset:
    return upload(studio, Asset.Kind.STILL, write_portrait(tmp_path / "portrait.png"))


@pytest.fixture
def lead(studio: Studio, tmp_path: Path) -> Asset:
    return upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "lead.mp4", tone=True))


@pytest.fixture
def second(studio: Studio, tmp_path: Path) -> Asset:
    return upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "second.mp4", rate=SECOND_RATE, seed=3))


@pytest.fixture
def pair(studio: Studio) -> dict[str, Consent]:
    return {"portrait:1": agree(studio, HER, Role.DEPICTED), "driver:1": agree(studio, HIM, Role.PERFORMER)}


@pytest.fixture
def scene(studio: Studio, sight: Sight, pair: dict[str, Consent]) -> dict[str, Consent]:
    """Two people in the portrait, one performer in each of two drivers; everybody agreed."""
    sight.beside, sight.further = (HERS_TOO,), {"driver2": HIS_FRIEND}
    further = {"portrait:2": agree(studio, HERS_TOO, Role.DEPICTED), "driver2:1": agree(studio, HIS_FRIEND, Role.PERFORMER)}
    return {**pair, **further}
