"""What happens to clips on their way, by ffmpeg, and the fingerprints of what comes out; kept by the fingerprint's own code."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from provenance.fingerprint.video import VideoFingerprint, VideoFingerprinter
from tests.bench import watermark_clips as clips

FOLDER = Path("var/bench/fingerprint/kept").resolve()
_AROUND = "[1:v]scale=640:360,setsar=1[x];"  # a second clip, in 16:9
_EVEN = "scale=trunc(iw/2)*2:trunc(ih/2)*2,setsar=1"


@dataclass(frozen=True, slots=True)
class Copy:
    """One way of copying. filters: ffmpeg's; {a} and {b} stand for two shares in 0..1 that differ from clip to clip,
    [1:v] for another clip.
    """

    name: str
    filters: str = "null"
    crf: int = 28
    rate: float | None = None
    start_s: float = 0.0


PLAIN = Copy("as it is", crf=0)
TOLD_APART = Copy("mirrored, 10% cropped, CRF 28", "crop=iw*.9:ih*.9:iw*.1*{a}:ih*.1*{b},hflip")
AGREEABLE = (
    Copy("CRF 28, half size", "scale=iw/2:ih/2"),
    Copy("10% cropped", "crop=iw*.9:ih*.9:iw*.1*{a}:ih*.1*{b}"),
    TOLD_APART,
    Copy("letterboxed", "pad=iw:ih*1.3:0:ih*.15"),
    Copy("15 frames per second", rate=15.0),
    Copy("brighter, more contrast", "eq=brightness=.05:contrast=1.1"),
    Copy("excerpt", start_s=0.7),
)
# honest views of a clip, which must never contradict it
HONEST = (
    Copy("9:16 crop", "crop='min(iw,ih*9/16)':ih:(iw-ow)*{a}:0"),
    Copy("9:16, blurred fill", "split[x][y];[x]scale=360:640,boxblur=20[x];[y]scale=360:-2[y];[x][y]overlay=0:(H-h)/2"),
    Copy("picture in picture, 60% of the height", _AROUND + "[0:v]scale=-2:216[y];[x][y]overlay=(W-w)*{a}:(H-h)*{b}:shortest=1"),
    Copy("picture in picture, 45% of the height", _AROUND + "[0:v]scale=-2:162[y];[x][y]overlay=(W-w)*{a}:(H-h)*{b}:shortest=1"),
    Copy("split screen", _AROUND + "[0:v]scale=-2:400,crop='min(iw,320)':360[y];[x][y]overlay=W-w:0:shortest=1"),
    Copy("caption bar", "pad=iw:ih*1.2:0:0:white"),
    Copy("caption over the picture", "drawbox=x=0:y=ih*.82:w=iw:h=ih*.12:color=black@.8:t=fill"),
    Copy("a tenth faster", "setpts=PTS/1.1"),
    Copy("480p, 5% cropped, CRF 33", "crop=iw*.95:ih*.95,scale=-2:240", crf=33),
    Copy("turned by 3 degrees, CRF 33", "rotate=3*PI/180", crf=33),
    Copy("half cropped away", "crop=iw*.5:ih*.5:iw*.5*{a}:ih*.5*{b}"),
)


def shares_of(name: str) -> tuple[float, float]:
    """Two shares in 0..1 that belong to a name."""
    digest = hashlib.sha256(name.encode()).digest()
    return digest[0] / 255, digest[1] / 255


def copied(source: Path, copy: Copy, destination: Path, *, around: Path | None = None) -> Path:
    """A file changed as `copy` says; `around`: what surrounds an inset."""
    a, b = (f"{share:.3f}" for share in shares_of(f"{source.stem} {copy.name}"))
    filters = copy.filters.replace("{a}", a).replace("{b}", b)
    inputs = ["-ss", str(copy.start_s), "-i", str(source)]
    inputs += ["-stream_loop", "-1", "-i", str(around or source)] if "[1:v]" in filters else []
    rate = ["-r", str(copy.rate)] if copy.rate else []
    output = ["-an", *rate, "-c:v", "libx264", "-preset", "veryfast", "-crf", str(copy.crf), "-pix_fmt", "yuv420p"]
    clips._ffmpeg([*inputs, "-filter_complex", f"{filters},{_EVEN}", *output, str(destination)])
    return destination


def fingerprint_of(path: Path) -> VideoFingerprint:
    """The fingerprint of a file."""
    reader = clips.imageio_ffmpeg.read_frames(str(path))
    rate = float(next(reader)["fps"])
    reader.close()
    fingerprinter = VideoFingerprinter()
    for batch in clips.read(path, rate=rate).batches():
        fingerprinter.update(batch)
    return fingerprinter.finish()


def kept(source: Path, copy: Copy, *, around: Path | None = None, folder: Path = FOLDER) -> VideoFingerprint:
    """The fingerprint of a copy, made once for this version of the fingerprint."""
    folder.mkdir(parents=True, exist_ok=True)
    key = f"{source} {source.stat().st_size} {copy} {around} {_version()}"
    place = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.fingerprint"
    if not place.exists():
        with tempfile.TemporaryDirectory() as temporary:
            path = source if copy is PLAIN else copied(source, copy, Path(temporary) / "copy.mp4", around=around)
            place.write_bytes(fingerprint_of(path).to_bytes())
    return VideoFingerprint.from_bytes(place.read_bytes())


def written(frames: np.ndarray, rate: float, path: Path) -> Path:
    """Luma frames (T, H, W) as a file."""
    height, width = frames.shape[1:]
    source = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", str(rate), "-i", "pipe:0"]
    encode = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-pix_fmt", "yuv420p"]
    clips._ffmpeg([*source, *encode, str(path)], np.ascontiguousarray(frames).tobytes())
    return path


def _version() -> str:
    spec = find_spec("provenance.fingerprint.video")
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:12] if spec and spec.origin else ""
