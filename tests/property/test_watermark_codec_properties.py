"""The payload survives what the channel does to it, for any payload and any pattern of harm."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.watermark import codec
from provenance.watermark.issued import IssuedWords

payloads = st.integers(min_value=0, max_value=2**64 - 1)
seeds = st.integers(min_value=0, max_value=2**32 - 1)


@settings(max_examples=40, deadline=None)
@given(payload=payloads)
def test_every_payload_comes_back_from_a_clean_word(payload: int) -> None:
    message = codec.decode(codec.codewords([payload]))[0]
    assert codec.payload_of(message) == payload


@settings(max_examples=30, deadline=None)
@given(payload=payloads, seed=seeds, flips=st.integers(min_value=1, max_value=90))
def test_flipped_code_bits_are_corrected(payload: int, seed: int, flips: int) -> None:
    word = codec.codewords([payload])
    word[0, np.random.default_rng(seed).choice(480, size=flips, replace=False)] *= -1.0
    assert codec.payload_of(codec.decode(word)[0]) == payload


@settings(max_examples=30, deadline=None)
@given(payload=payloads, seed=seeds)
def test_half_of_the_code_bits_may_be_missing(payload: int, seed: int) -> None:
    word = codec.codewords([payload])
    word[0, np.random.default_rng(seed).choice(480, size=240, replace=False)] = 0.0
    assert codec.payload_of(codec.decode(word)[0]) == payload


@settings(max_examples=30, deadline=None)
@given(payload=payloads, turn=st.integers(min_value=1, max_value=79))
def test_the_code_is_a_ring(payload: int, turn: int) -> None:
    message = codec.message_bits([payload])
    turned = codec.encode(np.roll(message, turn, axis=1))
    assert np.array_equal(turned, np.roll(codec.encode(message), 6 * turn, axis=1))


@settings(max_examples=100, deadline=None)
@given(payload=payloads, place=st.integers(min_value=0, max_value=79))
def test_one_wrong_message_bit_breaks_the_crc(payload: int, place: int) -> None:
    message = codec.message_bits([payload])[0]
    message[place] ^= 1
    assert codec.payload_of(message) is None


@settings(max_examples=20, deadline=None)
@given(ids=st.lists(payloads, min_size=1, max_size=40, unique=True), seed=seeds, data=st.data())
def test_an_issued_id_is_picked_out_of_noise(ids: list[int], seed: int, data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(ids))
    noise = np.random.default_rng(seed).normal(0.0, 1.0, (480, 3)).astype(np.float32)
    noise[:, 1] += codec.codewords([chosen])[0]
    assert IssuedWords(ids).best(noise) == (chosen, 1)
