"""The committed networks load only when intact, and do not care how pictures are batched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from media.tracking.graph import Graph
from media.tracking.weights import DIGESTS, WEIGHTS, DamagedWeights, NetworkName, load_network


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_the_cpu_and_a_gpu_run_the_same_network(name: NetworkName) -> None:
    with safe_open(WEIGHTS / f"{name}.safetensors", framework="pt") as file:
        in_torch = Graph(file.metadata()["graph"], {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
    network = load_network(name)
    pictures = torch.rand(2, 3, network.size, network.size, generator=torch.Generator().manual_seed(2))

    expected = in_torch(pictures)

    found = network(pictures)
    assert list(found) == list(expected)
    for output, values in expected.items():
        torch.testing.assert_close(found[output], values, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_every_network_gives_a_picture_the_same_result_alone_and_in_a_batch(name: NetworkName) -> None:
    network = load_network(name)
    pictures = torch.rand(3, 3, network.size, network.size, generator=torch.Generator().manual_seed(1))

    together = network(pictures)

    for index in range(3):
        alone = network(pictures[index : index + 1])
        for output, values in alone.items():
            torch.testing.assert_close(together[output][index], values[0], atol=2e-3, rtol=1e-3)


def test_a_changed_weight_file_is_refused(tmp_path: Path) -> None:
    shutil.copy(WEIGHTS / "selfie_matte.safetensors", tmp_path)
    path = tmp_path / "selfie_matte.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    with pytest.raises(DamagedWeights, match="install it again"):
        load_network("selfie_matte", folder=tmp_path)


def test_a_missing_weight_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedWeights, match="cannot be read"):
        load_network("face_landmarks", folder=tmp_path)


def test_the_list_of_digests_beside_the_files_is_the_one_in_the_code() -> None:
    lines = (WEIGHTS / "SHA256SUMS").read_text(encoding="ascii").split()

    assert dict(zip((name.removesuffix(".safetensors") for name in lines[1::2]), lines[::2], strict=True)) == DIGESTS


def test_the_origin_of_the_networks_is_named() -> None:
    notice = (WEIGHTS / "NOTICE").read_text(encoding="utf-8")

    assert "Apache License, Version 2.0" in notice
    assert all(f"{name}.safetensors" in notice for name in DIGESTS)
