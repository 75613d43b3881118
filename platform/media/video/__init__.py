"""Video and stills in and out: probe, normalise, read, write. Untrusted files are decoded in a limited child process."""

from media.video.info import AudioInfo, MediaInfo, NormalisedStill, NormalisedVideo
from media.video.intake import normalise_video, probe
from media.video.pipelining import prefetch
from media.video.reading import read_frame, read_frames, read_planes
from media.video.stills import normalise_still, read_still
from media.video.untrusted import UntrustedClip, stream_untrusted
from media.video.writing import VideoWriter, WriteError

__all__ = [
    "AudioInfo",
    "MediaInfo",
    "NormalisedStill",
    "NormalisedVideo",
    "UntrustedClip",
    "VideoWriter",
    "WriteError",
    "normalise_still",
    "normalise_video",
    "prefetch",
    "probe",
    "read_frame",
    "read_frames",
    "read_planes",
    "read_still",
    "stream_untrusted",
]
