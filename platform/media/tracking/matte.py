"""Person against background: MediaPipe's selfie segmentation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from media.tracking.weights import load_network


class Matte:
    """Gives a soft mask of the person in a picture. Coarse (256 x 256): refine it with the picture as a guide."""

    def __init__(self, device: str = "cpu") -> None:
        """Loads the network. Raises DamagedWeights."""
        self._device = torch.device(device)
        self._network = load_network("selfie_matte", device)

    @torch.inference_mode()
    def alpha(self, rgb: Tensor) -> Tensor:
        """uint8 RGB (H, W, 3) -> float32 (H, W), 0 background .. 1 person, on the network's device."""
        height, width = rgb.shape[:2]
        image = rgb.to(self._device).permute(2, 0, 1)[None].float() / 255
        size = (self._network.size, self._network.size)  # the network was trained on stretched pictures
        small = F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)
        alpha = self._network(small)["alpha"]
        full = F.interpolate(alpha, (height, width), mode="bilinear", align_corners=False)
        return full[0, 0].clamp(0, 1)
