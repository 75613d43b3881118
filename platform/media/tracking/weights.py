"""Loads the committed networks. A file whose SHA-256 is not the expected one is never used."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open

from media.errors import MediaError
from media.tracking.network import Network, build

NetworkName = Literal["face_short_range", "face_full_range", "face_landmarks", "selfie_matte"]
WEIGHTS = Path(__file__).parent / "weights"
DIGESTS: dict[str, str] = {
    "face_short_range": "2681c7624024b2be04b9e12b5aa1b92e0d2c3e6dac5a42edc00d9ff41c67ea5a",
    "face_full_range": "def1e0f5abc4b5b1905a1b922b2cad069ffff7a7034d7938ba2891868a8eecba",
    "face_landmarks": "01ab90e8668649446b1ad5a4eabcce758e2e995c0f38166c9054f1aef468b3e4",
    "selfie_matte": "ffb7141da7072390515d74c1f1d6ba45c3257f6fe7800b606da38f9ae553361a",
}


class DamagedWeights(MediaError):
    """A committed weight file is missing or is not the one this version was released with."""

    code = "damaged_weights"


def load_network(name: NetworkName, device: str = "cpu", *, folder: Path = WEIGHTS) -> Network:
    """The network on a device. Raises DamagedWeights."""
    path = folder / f"{name}.safetensors"
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != DIGESTS[name]:
            raise DamagedWeights(f"{path.name} is not the file of this release (SHA-256 {digest[:12]}…); install it again.")
        with safe_open(path, framework="pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - the handle is not a mapping
            description = file.metadata()["graph"]
    except (OSError, SafetensorError) as error:
        raise DamagedWeights(f"{path.name} cannot be read ({error}); install this release again.") from error
    return build(description, weights, device)
