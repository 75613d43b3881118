"""The attack matrix: what happens to a published clip, as ffmpeg arguments, so that every method meets the very same attacks.

An attack takes a lossless marked clip to an encoded file. Offsets are drawn from the attack's own name: the same for all.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.bench.watermark.ffmpeg import ffmpeg

MARKED, PLAIN = "0", "1"  # inputs of a filter graph: the marked clip and, where a splice needs it, the unmarked one


@dataclass(frozen=True)
class Attack:
    """name; family and level: a curve of the plots. graph: ffmpeg filters; source: arguments before the input, such as a seek."""

    name: str
    family: str
    level: float
    graph: str = "null"
    encode: tuple[str, ...] = ("-c:v", "libx264", "-preset", "medium", "-crf", "23")
    source: tuple[str, ...] = ()
    spliced: bool = False
    intermediate: tuple[str, ...] = ()

    def run(self, marked: Path, plain: Path, destination: Path) -> None:
        """Writes the attacked clip. `marked` and `plain` are lossless files of one size and length."""
        source = marked
        if self.intermediate:
            source = destination.with_suffix(".avi")
            ffmpeg(["-i", str(marked), *self.intermediate, str(source)])
        inputs = [*self.source, "-i", str(source), *(["-i", str(plain)] if self.spliced else [])]
        graph = ["-filter_complex", self.graph] if self.spliced else ["-vf", self.graph]
        ffmpeg([*inputs, *graph, *self.encode, "-threads", "1", "-pix_fmt", "yuv420p", "-an", str(destination)])
        if self.intermediate:
            source.unlink()


def x264(crf: int, preset: str = "medium") -> tuple[str, ...]:
    return ("-c:v", "libx264", "-preset", preset, "-crf", str(crf))


HEVC = ("-x265-params", "log-level=error:pools=none")
EVEN = "trunc({}/2)*2"


def scale(width: str, height: str) -> str:
    return f"scale={EVEN.format(width)}:{EVEN.format(height)}:flags=bicubic"


def crop(share: float, name: str) -> str:
    x, y = (random.Random(f"{name}/{axis}").uniform(0.1, 0.9) for axis in "xy")
    return f"crop={EVEN.format(f'iw*{share}')}:{EVEN.format(f'ih*{share}')}:(iw-ow)*{x:.3f}:(ih-oh)*{y:.3f}"


def turned(degrees: float) -> str:
    return f"rotate={degrees}*PI/180:bilinear=1"


def keystone(reach: float) -> str:
    """A projective view: the picture as seen from below and from one side, its top narrower by 1.8 x `reach` of the width."""
    places = ((reach, 0.3 * reach), (1.0 - 0.8 * reach, 0.5 * reach), (0.1 * reach, 1.0 - 0.1 * reach), (1.0, 1.0 - 0.6 * reach))
    corners = ":".join(f"x{i}={x:.4f}*W:y{i}={y:.4f}*H" for i, (x, y) in enumerate(places))
    return f"perspective={corners}:sense=destination:interpolation=cubic"


SOCIAL = f"{crop(0.95, 'social')},{scale('480*iw/ih', '480')},fps=30"
SCREEN = f"{scale('iw*0.83', 'ih*0.83')},{keystone(0.02)},eq=gamma=1.1:contrast=0.95,fps=30"
SPLICE = f"[{MARKED}:v]trim=1:2.2,setpts=PTS-STARTPTS[m];[{PLAIN}:v]trim=0:1,setpts=PTS-STARTPTS[a];[a][m]concat=n=2"


def _compression() -> Iterator[Attack]:
    for crf in (18, 23, 28, 33, 38, 40):
        yield Attack(f"x264 medium CRF {crf}", "x264 medium", crf, encode=x264(crf))
    for crf in (23, 28, 33, 38):
        yield Attack(f"x264 veryfast CRF {crf}", "x264 veryfast", crf, encode=x264(crf, "veryfast"))
    for crf in (28, 34):
        yield Attack(f"HEVC CRF {crf}", "HEVC", crf, encode=("-c:v", "libx265", "-preset", "fast", "-crf", str(crf), *HEVC))
    vp9 = ("-c:v", "libvpx-vp9", "-crf", "36", "-b:v", "0", "-deadline", "realtime", "-cpu-used", "5")
    yield Attack("VP9 CRF 36", "VP9", 36, encode=vp9)
    yield Attack("AV1 CRF 40", "AV1", 40, encode=("-c:v", "libsvtav1", "-preset", "10", "-crf", "40"))
    jpeg = ("-c:v", "mjpeg", "-q:v", "8", "-pix_fmt", "yuvj420p", "-strict", "unofficial")
    yield Attack("JPEG frames", "JPEG", 8, intermediate=jpeg, graph="scale=out_range=tv", encode=x264(23))


def _geometry() -> Iterator[Attack]:
    for share in (0.75, 0.5):
        there = scale(f"iw*{share}", f"ih*{share}")
        yield Attack(f"{share:.0%} and back", "resize", share, f"{there},{scale(f'iw/{share}', f'ih/{share}')}", x264(28))
    yield Attack("480 rows", "resize", 0.7, scale("480*iw/ih", "480"), x264(28))
    for share in (0.5, 0.4):
        yield Attack(f"left at {share:.0%}", "left small", share, scale(f"iw*{share}", f"ih*{share}"), x264(28))
    for share in (0.9, 0.75, 0.5):
        name = f"crop {share:.0%}"
        back = f"{crop(share, name)},{scale(f'iw/{share}', f'ih/{share}')}"
        yield Attack(name, "crop", share, crop(share, name), x264(23 if share == 0.9 else 28))
        yield Attack(f"{name} and back", "crop and back", share, back, x264(28))
    yield Attack("mirrored", "flip", 1, "hflip", x264(28))
    yield Attack("quarter turn", "flip", 2, "transpose=1", x264(28))
    for degrees in (1, 5, 10, 20, 40):
        yield Attack(f"rotated {degrees}", "rotation", degrees, turned(degrees), x264(23))
    yield Attack("aspect 1.2", "aspect", 1.2, scale("iw*1.2", "ih"), x264(28))
    yield Attack("aspect 0.8", "aspect", 0.8, scale("iw*0.8", "ih"), x264(28))
    yield Attack("perspective 5%", "perspective", 5, keystone(0.05), x264(23))
    yield Attack("9:16 crop", "crop", 0.4, f"crop={EVEN.format('ih*9/16')}:ih", x264(26))
    picture = f"{scale('iw*0.6', 'ih*0.6')},pad={EVEN.format('iw/0.6')}:{EVEN.format('ih/0.6')}:(ow-iw)*0.9:(oh-ih)*0.9:gray"
    yield Attack("picture in picture", "resize", 0.6, picture, x264(23))


def _pixels() -> Iterator[Attack]:
    for name, graph, crf in (
        ("brighter", "eq=brightness=0.1", 23),
        ("contrast 1.3", "eq=contrast=1.3", 23),
        ("gamma 1.4", "eq=gamma=1.4", 23),
        ("hue 30 degrees", "hue=h=30", 23),
        ("greyscale", "hue=s=0", 28),
        ("blur", "gblur=sigma=1.5", 23),
        ("sharpen", "unsharp=5:5:1.0", 23),
        ("median", "median=radius=1", 23),
        ("noise", "noise=alls=12:allf=t", 23),
        ("denoiser", "nlmeans=s=3:p=5:r=7", 23),
        ("letterbox", "drawbox=h=ih*0.12:color=black:t=fill,drawbox=y=ih*0.88:h=ih*0.12:color=black:t=fill", 23),
        ("logo", "drawbox=x=iw*0.78:y=ih*0.06:w=iw*0.16:h=ih*0.16:color=white@0.8:t=fill", 23),
        ("caption bar", "drawbox=y=ih*0.82:h=ih*0.18:color=black:t=fill", 23),
    ):
        yield Attack(name, "pixels", 1, graph, x264(crf))


def _time() -> Iterator[Attack]:
    yield Attack("fps 15", "frame rate", 15, "fps=15")
    yield Attack("fps 30", "frame rate", 30, "fps=30")
    yield Attack("2-s excerpt", "time", 2, source=("-ss", "0.6", "-t", "2"))
    yield Attack("splice", "time", 1, SPLICE, spliced=True)
    yield Attack("speed 1.1", "time", 1.1, "setpts=PTS/1.1,fps=25")


def _chains() -> Iterator[Attack]:
    yield Attack("screen recording", "chain", 1, SCREEN, x264(28, "veryfast"))
    yield Attack("social", "chain", 2, SOCIAL, x264(30))
    yield Attack("social, mirrored, CRF 33", "chain", 3, f"{SOCIAL},hflip", x264(33))


ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {attack.name: attack for part in (_compression, _geometry, _pixels, _time, _chains) for attack in part()}
)
REQUIRED = ("x264 medium CRF 40", "x264 veryfast CRF 38", "screen recording", "social")
