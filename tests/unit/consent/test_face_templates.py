"""Face templates are sealed to their person and die with the person's key."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from django.conf import settings

from consent import sealing, selectors, services
from consent.errors import TemplateDestroyed, TemplateUnreadable
from consent.models import Consent, FaceTemplate, PersonKey

Make = Callable[..., Consent]
SECRET = (0.125, -0.75)  # exact in 32 bits


@pytest.fixture
def template(make_consent: Make) -> FaceTemplate:
    return FaceTemplate.objects.get(person=make_consent(SECRET).person)


def test_a_template_reads_back_as_it_was_kept(template: FaceTemplate) -> None:
    assert tuple(selectors.open_template(template)) == SECRET


def test_the_stored_bytes_do_not_hold_the_embedding(template: FaceTemplate) -> None:
    plain = np.array(SECRET, dtype="<f4").tobytes()
    assert plain not in bytes(template.ciphertext)


def test_a_template_moved_to_another_person_does_not_open(template: FaceTemplate, make_consent: Make) -> None:
    template.person = make_consent((9.0, 9.0)).person
    with pytest.raises(TemplateUnreadable):
        selectors.open_template(template)


def test_a_template_relabelled_as_another_models_does_not_open(template: FaceTemplate) -> None:
    template.engine_id = "flat@2"
    with pytest.raises(TemplateUnreadable):
        selectors.open_template(template)


def test_a_data_key_moved_to_another_person_does_not_open(template: FaceTemplate, make_consent: Make) -> None:
    other = make_consent((9.0, 9.0)).person
    key = PersonKey.objects.get(person=template.person)
    PersonKey.objects.filter(person=other).update(nonce=key.nonce, wrapped_key=key.wrapped_key)
    with pytest.raises(TemplateUnreadable):
        selectors.data_key(person_id=other.id)


def test_a_changed_byte_is_found(template: FaceTemplate) -> None:
    damaged = bytearray(template.ciphertext)
    damaged[0] ^= 1
    template.ciphertext = bytes(damaged)
    with pytest.raises(TemplateUnreadable):
        selectors.open_template(template)


def test_another_master_key_opens_nothing(template: FaceTemplate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "TEMPLATE_MASTER_KEY", bytes(32))
    with pytest.raises(TemplateUnreadable, match="TEMPLATE_MASTER_KEY"):
        selectors.open_template(template)


def test_destroying_the_key_makes_a_copy_of_the_template_unreadable(template: FaceTemplate) -> None:
    services.destroy_templates(person_id=template.person_id, actor="system", cause="erasure")
    assert not FaceTemplate.objects.exists()
    with pytest.raises(TemplateDestroyed):
        selectors.open_template(template)  # a row from a backup


def test_a_new_key_after_destruction_does_not_open_old_copies(template: FaceTemplate, make_consent: Make) -> None:
    services.destroy_templates(person_id=template.person_id, actor="system", cause="erasure")
    make_consent((1.0, 1.0), person=template.person)
    with pytest.raises(TemplateUnreadable):
        selectors.open_template(template)


def test_a_new_template_takes_the_place_of_the_old_one(template: FaceTemplate, make_consent: Make) -> None:
    make_consent((1.0, 1.0), person=template.person)
    (only,) = FaceTemplate.objects.filter(person=template.person)
    assert tuple(selectors.open_template(only)) == (1.0, 1.0)


def test_no_template_outlives_three_years(template: FaceTemplate) -> None:
    assert template.destroy_by - template.created_at <= services.TEMPLATE_YEARS


def test_sealing_twice_never_repeats_a_nonce() -> None:
    key = sealing.new_data_key()
    boxes = [sealing.seal(key, b"same", bound_to="x") for _ in range(64)]
    assert len({box.nonce for box in boxes}) == len({box.ciphertext for box in boxes}) == 64
