"""Speed and memory of the mesh engine on one core: the last line is one JSON object.

Animates a 512 x 512 portrait whose face fills the frame with a swaying, talking track made from its own landmarks.
"""

from __future__ import annotations

import json
import math
import resource
import time
from fractions import Fraction

import skimage.data
import torch
from torch.nn import functional as F

from generation.engines import load
from generation.engines.base import FaceTrack, Options, Performance, SourceFace, Still
from generation.engines.mesh.analyse import TrackingAnalyser

FRAMES = 120


def portrait() -> torch.Tensor:
    """uint8 (512, 512, 3): the astronaut's head and shoulders, enlarged."""
    head = torch.from_numpy(skimage.data.astronaut())[:320, 64:384].permute(2, 0, 1)[None].float()
    large = F.interpolate(head, size=(512, 512), mode="bicubic", align_corners=False).clamp(0, 255)
    return large[0].permute(1, 2, 0).round().to(torch.uint8).contiguous()


def swaying(landmarks: torch.Tensor, frames: int) -> FaceTrack:
    """A head that turns by 15 degrees and opens its mouth twice a second."""
    centre = landmarks[:468].mean(0)
    moments = []
    for i in range(frames):
        angle = math.radians(15) * math.sin(i / 8)
        x, y, z = (landmarks - centre).unbind(-1)
        cos, sin = math.cos(angle), math.sin(angle)
        points = torch.stack([x * cos + z * sin, y, z * cos - x * sin], -1) + centre
        points[[14, 17, 152], 1] += 8 * (1 + math.sin(i / 4))
        moments.append(points)
    return FaceTrack(torch.stack(moments), torch.ones(frames), Fraction(25), 512, 512)


def peak_mb() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Time `prepare` and `animate`, and compare the peak memory after 40 and after all frames."""
    torch.set_num_threads(1)
    engine, still = load("mesh", device="cpu"), portrait()
    found = TrackingAnalyser().faces(still)[0]
    started = time.process_time()
    prepared = engine.prepare(Still(still))
    prepare_s = time.process_time() - started
    performance = Performance(SourceFace(found.box), swaying(found.landmarks, FRAMES))
    started, done, early_mb = time.process_time(), 0, 0.0
    for batch in engine.animate(prepared, [performance], Options()):
        done += len(batch)
        early_mb = early_mb or (peak_mb() if done >= 40 else 0.0)
    frame_ms = (time.process_time() - started) / done * 1000
    figures = {"bench": "mesh", "frames": done, "prepare_s": round(prepare_s, 2), "frame_ms": round(frame_ms, 1)}
    print(json.dumps(figures | {"peak_mb_at_40": round(early_mb), "peak_mb": round(peak_mb())}))


if __name__ == "__main__":
    main()
