"""Known answers of the pieces under the mark: checksum, code, key derivation, keyed choices, evidence."""

from __future__ import annotations

import hashlib
import hmac
import math

import numpy as np
import pytest

from provenance.watermark import SCHEME_1, SCHEME_2, Embedder, Geometry, codec, derive_key
from provenance.watermark.carrier import KeyedPlane
from provenance.watermark.keys import KeyedScheme
from provenance.watermark.keystream import KeyStream
from provenance.watermark.residual import windows
from provenance.watermark.search import pose_at
from provenance.watermark.statistic import false_match_probability, log_evidence, log_searched, required_evidence
from tests.bench import watermark_clips as clips

KEY = bytes(range(32))


def shift_register(message: np.ndarray) -> list[int]:
    """The encoder as a textbook draws it: fifteen cells, primed with the last fourteen bits."""
    state = sum(int(message[79 - i]) << (13 - i) for i in range(14))
    signs = []
    for bit in message:
        register = (int(bit) << 14) | state
        signs += [1 - 2 * ((register & generator).bit_count() & 1) for generator in codec.GENERATORS]
        state = register >> 1
    return signs


def test_crc_is_the_ibm_3740_one() -> None:
    remainder = 0xFFFF
    for byte in (0x0123456789ABCDEF).to_bytes(8, "big"):
        remainder ^= byte << 8
        for _ in range(8):
            remainder = ((remainder << 1) ^ (0x1021 if remainder & 0x8000 else 0)) & 0xFFFF
    assert codec.crc16(0x0123456789ABCDEF) == remainder


def test_code_words_match_a_shift_register() -> None:
    message = codec.message_bits([0xFEDCBA9876543210])[0]
    assert codec.codewords([0xFEDCBA9876543210])[0].tolist() == shift_register(message)


def test_several_words_are_decoded_together_under_noise() -> None:
    payloads = [1, 2**63, 0x5555555555555555, 2**64 - 1]
    noisy = codec.codewords(payloads) + np.random.default_rng(7).normal(0.0, 1.5, (4, 480))
    assert [codec.payload_of(m) for m in codec.decode(noisy.astype(np.float32))] == payloads


def test_noise_alone_does_not_pass_the_crc() -> None:
    noise = np.random.default_rng(3).normal(size=(8, 480)).astype(np.float32)
    assert [codec.payload_of(m) for m in codec.decode(noise)] == [None] * 8


@pytest.mark.parametrize("payload", [-1, 2**64])
def test_a_payload_outside_64_bits_is_refused(payload: int) -> None:
    with pytest.raises(ValueError, match="64-bit"):
        codec.codewords([payload])


def test_keys_are_derived_by_rfc_5869() -> None:
    extracted = hmac.new(bytes(32), KEY, hashlib.sha256).digest()
    info = b"countersign/watermark/studio-7/2026-11"
    assert derive_key(KEY, "studio-7/2026-11") == hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def test_each_context_has_its_own_key() -> None:
    assert len({derive_key(KEY, f"studio/{month}") for month in range(12)}) == 12


@pytest.mark.parametrize(("master", "context"), [(b"short", "studio"), (KEY, "")])
def test_a_weak_master_or_an_empty_context_is_refused(master: bytes, context: str) -> None:
    with pytest.raises(ValueError):
        derive_key(master, context)


def test_keyed_choices_never_change() -> None:
    # Marks already released are read with these: a change here would make them unreadable.
    stream = KeyStream(KEY)
    signs = "".join("+" if s > 0 else "-" for s in stream.signs("luma/signs", 16))
    assert signs == "-+-+-++++----+--"
    assert stream.permutation("luma/bits", 480)[:6].tolist() == [270, 450, 186, 156, 206, 169]


def test_scheme_1_has_the_published_shape() -> None:
    assert (len(SCHEME_1.luma.bins), SCHEME_1.luma.sync_count, SCHEME_1.luma.payload_dimensions) == (332, 66, 532)
    assert (len(SCHEME_1.chroma.bins), SCHEME_1.chroma.payload_dimensions) == (208, 352)
    assert [SCHEME_1.period_for(rows) for rows in (288, 512, 720, 1080)] == [128.0, 128.0, 128.0, 192.0]


def test_schemes_1_and_2_share_their_lattice() -> None:
    # a place found for one is a place found for the other
    for one, two in ((SCHEME_1.luma, SCHEME_2.luma), (SCHEME_1.chroma, SCHEME_2.chroma)):
        assert one.bins == two.bins
    assert SCHEME_1.period_px == SCHEME_2.period_px
    known = (SCHEME_2.luma.sync_indices, SCHEME_2.luma.pilot_indices, SCHEME_2.luma.payload_indices)
    assert sorted(index for part in known for index in part) == list(range(len(SCHEME_2.luma.bins)))


def test_two_keys_spread_one_word_independently() -> None:
    word = codec.codewords([42])[0]
    one, two = (KeyedPlane.of(derive_key(KEY, name), SCHEME_1.luma).chips(word) for name in ("a", "b"))
    assert abs(np.vdot(one, two)) / len(one) < 0.2
    assert np.allclose(np.abs(one), 1.0)


def test_spreading_and_despreading_are_inverse() -> None:
    plane, word = KeyedPlane.of(KEY, SCHEME_1.luma), codec.codewords([42])[0]
    chips = plane.chips(word)[list(SCHEME_1.luma.payload_indices)]
    dimensions = np.stack([chips.real, chips.imag], axis=1).reshape(1, -1).astype(np.float32)
    assert np.array_equal(np.sign(plane.despread(dimensions)[0]), word)


def test_evidence_bounds_the_tail_of_random_signs() -> None:
    generator = np.random.default_rng(5)
    values = np.abs(generator.normal(size=60)).astype(np.float32)
    sums = generator.choice([-1.0, 1.0], size=(200_000, 60)) @ values
    for t in (8.0, 14.0, 20.0):
        assert (sums >= t).mean() <= math.exp(-log_evidence(values, t))


def test_the_bound_holds_over_many_words_at_a_relaxed_threshold() -> None:
    # A detector in small: 32 words a key, 4,000 keys, limited heavy-tailed evidence, accepted at e^-3 instead of 1e-9.
    generator = np.random.default_rng(11)
    values = np.minimum(np.abs(generator.standard_t(3, size=300)), 2.0).astype(np.float32)
    words = np.where(generator.random((32, 300)) < 0.5, -1.0, 1.0)
    keys = np.where(generator.random((4000, 300)) < 0.5, -1.0, 1.0)
    best = ((keys * values) @ words.T).max(axis=1)
    accepted = sum(log_evidence(values, float(t)) >= 3.0 + math.log(32) for t in best)
    assert 0.2 * math.exp(-3.0) / 10 < accepted / 4000 <= math.exp(-3.0)


def test_keys_that_did_not_mark_a_clip_stay_within_the_bound() -> None:
    batches = Embedder(KEY, 42, SCHEME_2, strength=2.0, sync_key=KEY).embed(clips.bikes(1.0).batches())
    window = next(windows(batches, window_s=2.0, looks_per_s=6.0))
    ids = codec.codewords(list(range(1000, 1016)))
    accepted = 0
    for number in range(200):
        keyed = KeyedScheme.of("", derive_key(KEY, str(number)), SCHEME_2, KEY)
        pose = pose_at(window, SCHEME_2, keyed, Geometry.of_scale(1.0, 1.0))
        accepted += max(pose.evidence(word) for word in ids) >= 2.0 + math.log(16)
    assert accepted / 200 <= math.exp(-2.0)


def test_full_agreement_of_equal_values_is_one_bit_each() -> None:
    assert log_evidence(np.ones(100, dtype=np.float32), 100.0) == pytest.approx(100 * math.log(2.0), rel=1e-3)


@pytest.mark.parametrize("agreement", [0.0, -5.0])
def test_no_agreement_is_no_evidence(agreement: float) -> None:
    assert log_evidence(np.ones(10, dtype=np.float32), agreement) == 0.0


def test_acceptance_grows_with_what_was_searched() -> None:
    free = required_evidence(log_searched(ids=None, keys=1, windows=1))
    assert free == pytest.approx(69.2, abs=0.1)
    assert required_evidence(log_searched(ids=10**6, keys=1, windows=1)) == pytest.approx(38.7, abs=0.1)
    assert required_evidence(log_searched(ids=None, keys=100, windows=60)) == pytest.approx(
        free + math.log(100) + 2.0 * math.log(60)
    )
    assert false_match_probability(free, log_searched(ids=None, keys=1, windows=1)) == pytest.approx(1e-9)
