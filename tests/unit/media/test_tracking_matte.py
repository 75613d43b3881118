"""The matte separates a person from the background as MediaPipe's does."""

from __future__ import annotations

from tracking_inputs import astronaut, backdrop, reference

from media.tracking import Matte


def test_the_matte_agrees_with_mediapipe() -> None:
    # Every second pixel is what MediaPipe's own resize takes of this picture.
    alpha = Matte().alpha(astronaut()[::2, ::2])

    blocks = alpha.reshape(16, 16, 16, 16).mean(dim=(1, 3))
    assert (blocks - reference("astronaut_alpha_16x16")).abs().max() < 0.02


def test_the_person_is_solid_and_the_sky_is_empty() -> None:
    alpha = Matte().alpha(astronaut())

    assert alpha.shape == (512, 512)
    assert alpha[85:150, 195:250].min() > 0.95
    assert alpha[:120, 330:].max() < 0.1
    assert 0 <= alpha.min() <= alpha.max() <= 1


def test_a_picture_of_any_shape_gets_a_matte_of_that_shape() -> None:
    assert Matte().alpha(backdrop(301, 97)).shape == (97, 301)
