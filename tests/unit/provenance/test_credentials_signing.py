"""A signed output says what made it and nothing about who is in it, and every tampering shows."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import c2pa
import pytest
from provenance_samples import flip_byte, graft_manifest, manifest_inputs, performance, remux, write_clip

from provenance.credentials import pki
from provenance.credentials.isolated import read_untrusted
from provenance.credentials.jumbf import claim_sha256, read_manifest_store
from provenance.credentials.read import read_manifest, reader_settings
from provenance.credentials.sign import SealedFile, seal_output
from provenance.errors import SigningFailed
from provenance.signals import ManifestReading, ManifestState


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> pki.Signer:
    return pki.development_signer(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "rendered.mp4", performance(seconds=1))


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, rendered: Path, signer: pki.Signer) -> SealedFile:
    destination = tmp_path_factory.mktemp("sealed") / "output.mp4"
    inputs = manifest_inputs(label="TEST")
    return seal_output(rendered_path=rendered, destination=destination, manifest_inputs=inputs, signer=signer)


def reading(path: Path, signer: pki.Signer) -> ManifestReading:
    return read_manifest(path, anchors_pem=signer.anchors_pem)


def report(path: Path, signer: pki.Signer) -> dict[str, object]:
    context = c2pa.Context.from_dict(reader_settings(signer.anchors_pem))
    with c2pa.Reader(str(path), context=context) as reader:
        return dict(reader.get_active_manifest() or {})


def assertions(path: Path, signer: pki.Signer) -> dict[str, dict[str, object]]:
    return {entry["label"]: entry for entry in report(path, signer)["assertions"]}  # type: ignore[attr-defined]


def test_a_sealed_file_is_trusted_ours_and_bound_to_its_bytes(sealed: SealedFile, signer: pki.Signer) -> None:
    found = reading(sealed.path, signer)
    assert found.state is ManifestState.TRUSTED
    assert found.signed_by_us
    assert found.hard_binding_holds
    assert (found.manifest_id, found.manifest_sha256) == (sealed.manifest_id, sealed.manifest_sha256)
    assert found.claim_generator == "Countersign 0.1.0"
    assert sealed.manifest_id.startswith("urn:c2pa:")


def test_the_manifest_tells_creation_first_then_the_mark_then_the_label(sealed: SealedFile, signer: pki.Signer) -> None:
    data = assertions(sealed.path, signer)["c2pa.actions.v2"]["data"]
    assert [action["action"] for action in data["actions"]] == ["c2pa.created", "c2pa.watermarked.bound", "c2pa.addedText"]  # type: ignore[index]
    assert data["actions"][0]["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")  # type: ignore[index]
    assert data["allActionsIncluded"] is True  # type: ignore[index]


def test_every_assertion_is_one_the_claim_generator_stands_for(sealed: SealedFile, signer: pki.Signer) -> None:
    found = assertions(sealed.path, signer)
    assert {"c2pa.soft-binding", "c2pa.ai-disclosure", "cawg.training-mining", "org.countersign.consent"} <= set(found)
    assert all(entry.get("created") for entry in found.values())


def test_training_on_an_output_is_not_allowed(sealed: SealedFile, signer: pki.Signer) -> None:
    entries = assertions(sealed.path, signer)["cawg.training-mining"]["data"]["entries"]  # type: ignore[index]
    assert len(entries) == 4
    assert all(entry == {"use": "notAllowed"} for entry in entries.values())


def test_inputs_appear_by_role_and_digest_without_title_name_or_thumbnail(sealed: SealedFile, signer: pki.Signer) -> None:
    ingredients = report(sealed.path, signer)["ingredients"]
    assert [item["description"] for item in ingredients] == ["portrait", "driver"]  # type: ignore[attr-defined]
    for item in ingredients:  # type: ignore[attr-defined]
        assert set(item) == {"format", "instance_id", "relationship", "description", "label"}
        assert item["relationship"] == "inputTo"
        assert item["instance_id"].startswith("ni:///sha-256;")
    assert b"c2pa.thumbnail" not in sealed.store


def test_the_soft_binding_names_the_mark_and_its_seconds(sealed: SealedFile, signer: pki.Signer) -> None:
    (binding,) = reading(sealed.path, signer).soft_bindings
    assert binding.alg == "org.countersign.video.1"
    assert binding.value == "ASNFZ4mrze8="
    assert binding.spans_ms == ((0, 3000),)


def test_the_library_still_writes_binding_values_as_text_where_the_standard_says_bytes(sealed: SealedFile) -> None:
    # A known limit of c2pa-python 0.38.1. When this fails, the library writes bytes: give it bytes.
    assert b"evalue\x6cASNFZ4mrze8=" in sealed.store


def test_one_changed_bit_of_the_media_breaks_the_binding_but_not_the_signature(
    sealed: SealedFile, signer: pki.Signer, tmp_path: Path
) -> None:
    found = reading(flip_byte(sealed.path, tmp_path / "tampered.mp4"), signer)
    assert found.state is ManifestState.INVALID
    assert found.signed_by_us
    assert not found.hard_binding_holds
    assert found.codes == ("assertion.bmffHash.mismatch",)
    assert found.manifest_sha256 == sealed.manifest_sha256


def test_a_changed_assertion_is_noticed_and_the_claim_keeps_its_digest(
    sealed: SealedFile, signer: pki.Signer, tmp_path: Path
) -> None:
    found = reading(flip_byte(sealed.path, tmp_path / "tampered.mp4", box=b"mesh@1", distance=1), signer)
    assert found.state is ManifestState.INVALID
    assert not found.hard_binding_holds
    assert found.manifest_sha256 == sealed.manifest_sha256


def test_a_changed_claim_is_no_longer_signed_by_anyone(sealed: SealedFile, signer: pki.Signer, tmp_path: Path) -> None:
    found = reading(flip_byte(sealed.path, tmp_path / "tampered.mp4", box=b"specVersion", distance=13), signer)
    assert found.state in (ManifestState.INVALID, ManifestState.UNREADABLE)
    assert not found.signed_by_us


def test_a_remuxed_copy_has_no_manifest(sealed: SealedFile, signer: pki.Signer, tmp_path: Path) -> None:
    assert reading(remux(sealed.path, tmp_path / "copy.mp4"), signer).state is ManifestState.NONE


def test_the_manifest_of_one_output_does_not_hold_on_another(sealed: SealedFile, signer: pki.Signer, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "other.mp4", performance(driver=2, seconds=1))
    found = reading(graft_manifest(sealed.path, other, tmp_path / "grafted.mp4"), signer)
    assert found.signed_by_us
    assert found.manifest_id == sealed.manifest_id
    assert not found.hard_binding_holds


def test_a_signature_under_other_roots_is_valid_but_not_ours(sealed: SealedFile, tmp_path: Path) -> None:
    found = reading(sealed.path, pki.development_signer(tmp_path / "their-pki"))
    assert found.state is ManifestState.VALID
    assert not found.signed_by_us


def test_a_file_after_the_end_of_the_certificate_says_so_and_keeps_its_binding(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pki, "_LEAF_DAYS", 2 / 86_400)
    brief = pki.development_signer(tmp_path / "pki")
    done = seal_output(rendered_path=rendered, destination=tmp_path / "o.mp4", manifest_inputs=manifest_inputs(), signer=brief)
    given_up_at = time.monotonic() + 15
    while not (found := reading(done.path, brief)).expired and time.monotonic() < given_up_at:
        time.sleep(0.5)
    assert found.expired
    assert found.signature_holds
    assert found.hard_binding_holds
    assert not found.signed_by_us
    assert found.signer_serial == done.signer_serial


@pytest.mark.parametrize("content", [b"", b"just text", b"\0\0\0\x18ftypisom" + b"\0" * 200, b"\x1a\x45\xdf\xa3webm"])
def test_what_is_no_clip_reads_as_no_manifest(content: bytes, signer: pki.Signer, tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    path.write_bytes(content)
    assert reading(path, signer).state in (ManifestState.NONE, ManifestState.UNREADABLE)


def test_a_cut_off_file_does_not_read_as_intact(sealed: SealedFile, signer: pki.Signer, tmp_path: Path) -> None:
    content = sealed.path.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: len(content) * 2 // 3])
    assert not reading(path, signer).hard_binding_holds


def test_two_manifest_stores_give_no_digest(sealed: SealedFile, signer: pki.Signer, tmp_path: Path) -> None:
    path = graft_manifest(sealed.path, sealed.path, tmp_path / "double.mp4")
    assert read_manifest_store(path) is None
    assert not reading(path, signer).hard_binding_holds


def test_the_digest_of_a_claim_needs_the_right_manifest(sealed: SealedFile) -> None:
    assert claim_sha256(sealed.store, sealed.manifest_id) == sealed.manifest_sha256
    assert claim_sha256(sealed.store, "urn:c2pa:another") is None


def test_the_child_process_reads_what_this_one_reads(sealed: SealedFile, signer: pki.Signer) -> None:
    assert read_untrusted(sealed.path, anchors_pem=signer.anchors_pem) == reading(sealed.path, signer)


def test_a_key_service_that_fails_leaves_nothing_and_is_named(rendered: Path, signer: pki.Signer, tmp_path: Path) -> None:
    def unreachable(message: bytes) -> bytes:
        raise ConnectionError("key service unreachable")

    with pytest.raises(SigningFailed, match=r"key service unreachable.*try again") as caught:
        seal_output(
            rendered_path=rendered,
            destination=tmp_path / "output.mp4",
            manifest_inputs=manifest_inputs(),
            signer=replace(signer, sign=unreachable),
        )
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_signature_never_becomes_a_file(rendered: Path, signer: pki.Signer, tmp_path: Path) -> None:
    with pytest.raises(SigningFailed):
        seal_output(
            rendered_path=rendered,
            destination=tmp_path / "output.mp4",
            manifest_inputs=manifest_inputs(),
            signer=replace(signer, sign=lambda message: b"\x01" * 64),
        )
    assert list(tmp_path.iterdir()) == []


def test_several_files_are_signed_at_once(rendered: Path, signer: pki.Signer, tmp_path: Path) -> None:
    def seal(number: int) -> str:
        destination = tmp_path / f"{number}.mp4"
        inputs = manifest_inputs(watermark_id=f"{number:016x}")
        return seal_output(rendered_path=rendered, destination=destination, manifest_inputs=inputs, signer=signer).manifest_id

    with ThreadPoolExecutor(4) as pool:
        identifiers = list(pool.map(seal, range(1, 9)))
    assert len(set(identifiers)) == 8
    assert all(reading(tmp_path / f"{number}.mp4", signer).hard_binding_holds for number in range(1, 9))


def test_nothing_is_fetched_for_a_manifest_that_is_elsewhere(signer: pki.Signer) -> None:
    settings = json.loads(json.dumps(reader_settings(signer.anchors_pem)))
    assert settings["verify"]["remote_manifest_fetch"] is False


def test_a_released_manifest_survives_copying_the_file(sealed: SealedFile, signer: pki.Signer, tmp_path: Path) -> None:
    copy = Path(shutil.copy(sealed.path, tmp_path / "renamed.bin"))
    assert reading(copy, signer).state is ManifestState.TRUSTED
