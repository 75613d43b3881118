"""What an untrusted container may be, which of its streams are used, and what its time stamps say."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from media.decoder.clock import constant_rate, nominal_rate, slot_count
from media.decoder.colours import DOLBY_VISION, UNSPECIFIED
from media.errors import BadInput
from media.limits import MediaLimits

MP4_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"})
VIDEO_CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "prores", "dnxhd"})
DECODERS = (  # the names FFmpeg gives its decoders; nothing else is ever opened, not even to probe
    "h264,hevc,vp8,vp9,libdav1d,av1,mpeg4,mjpeg,prores,dnxhd,"
    "aac,mp3,mp3float,opus,libopus,vorbis,flac,alac,ac3,eac3,"
    "pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_f32le,pcm_u8"
)
UNTIMED = frozenset({"avi"})  # FFmpeg guesses presentation times for these, wrongly when there are B-frames
DOLBY_VISION_TAGS = frozenset({"dvh1", "dvhe", "dva1", "dvav", "dav1"})  # sample entries of what other players cannot show
SIDE_MIN_PX = 16
CLOCK_SPAN_S = 86_400  # time stamps further than a day from zero come from a broken clock
BROKEN = "the video is broken or cut short; export it again and upload the whole file"


@dataclass(frozen=True, slots=True)
class Survey:
    """What the packets of the chosen video stream say. Times are exact seconds on the file's own clock."""

    format_name: str
    codec: str
    first_s: Fraction
    last_shows_s: Fraction  # how long the last frame stays on the screen
    frames: int
    slots: int  # frames of the constant-rate copy
    frame_rate: Fraction
    variable: bool
    video_streams: int
    audio_streams: int
    text_streams: int  # subtitles and timed text
    order_s: tuple[Fraction, ...] = ()  # of a container that stores no presentation times: those of its frames, in order

    @property
    def duration_s(self) -> Fraction:
        """Length of the constant-rate copy."""
        return self.slots / self.frame_rate


def open_container(path: Path) -> tuple[InputContainer, str]:
    """Open a file by the demuxer its first bytes name. Raises BadInput for any other kind of file."""
    name = _format_of(path)
    options = {"codec_whitelist": DECODERS, "protocol_whitelist": "file"}
    try:
        return av.open(f"file:{path}", format=name, options=options, metadata_errors="replace"), name
    except (av.error.FFmpegError, ValueError) as error:
        raise BadInput(BROKEN) from error


def video_stream(container: InputContainer) -> VideoStream:
    """The stream a player would show: the default one, else the first. Attached pictures are no video. Raises BadInput."""
    streams = _moving(container)
    if not streams:
        raise BadInput("the file holds no video; upload a file with a moving picture")
    return next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])


def audio_stream(container: InputContainer, limits: MediaLimits) -> AudioStream | None:
    """The default audio stream, else the first; None without one. Raises BadInput when it is over the limits or unknown."""
    streams = container.streams.audio
    if not streams:
        return None
    stream = next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])
    if stream.codec_context is None or stream.codec_context.codec.name not in DECODERS.split(","):
        raise BadInput("the sound is in a codec that is not accepted; export the video with AAC sound")
    if not 1 <= stream.codec_context.channels <= limits.audio_channels:
        raise BadInput(f"the sound has more than {limits.audio_channels} channels; export the video with stereo sound")
    if not 8_000 <= stream.codec_context.sample_rate <= 192_000:
        raise BadInput("the sound has an unusual sample rate; export the video with 48 kHz sound")
    return stream


def survey(path: Path, limits: MediaLimits) -> Survey:
    """Walk through the packets without decoding any. Raises BadInput for what is not accepted, broken or over a limit."""
    container, name = open_container(path)
    with container:
        stream = video_stream(container)
        _check_picture(stream, limits)
        times, last_s = _times(container, stream, limits)
        declared = [rate for rate in (stream.average_rate, stream.base_rate, stream.guessed_rate) if rate]
        constant = constant_rate(times, stream.time_base or Fraction(1, 1000), declared)
        rate = constant or _nominal(times, declared)
        slots = slot_count(times, min(last_s, (1 if constant else 2) / rate), rate)
        _check_length(slots, rate, limits)
        return Survey(
            format_name=name,
            codec=stream.codec_context.codec.canonical_name,
            first_s=times[0],
            last_shows_s=last_s,
            frames=len(times),
            slots=slots,
            frame_rate=rate,
            variable=constant is None,
            video_streams=len(_moving(container)),
            audio_streams=len(container.streams.audio),
            text_streams=len(container.streams.subtitles),
            order_s=tuple(times) if name in UNTIMED else (),
        )


def _format_of(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(16)
    if head[4:8] in MP4_FIRST_BOXES:
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    raise BadInput("this is not an MP4, MOV, WebM, Matroska or AVI video, whatever its name says; export it as H.264 in MP4")


def _moving(container: InputContainer) -> list[VideoStream]:
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def _check_picture(stream: VideoStream, limits: MediaLimits) -> None:
    context = stream.codec_context
    if context is None or context.codec.canonical_name not in VIDEO_CODECS:
        raise BadInput("the video is in a codec that is not accepted; export it as H.264 in MP4")
    if context.codec_tag in DOLBY_VISION_TAGS and context.color_trc in UNSPECIFIED:
        raise BadInput(DOLBY_VISION)
    check_size(context.width, context.height, limits)


def check_size(width: int, height: int, limits: MediaLimits) -> None:
    """Raise BadInput unless both sides, in pixels, are within the limits."""
    if min(width, height) < SIDE_MIN_PX:
        raise BadInput(f"the picture is {width}x{height} pixels, which is too small to use; upload a larger video")
    if max(width, height) > limits.video_side_px:
        raise BadInput(
            f"the picture is {width}x{height} pixels, over the limit of {limits.video_side_px} a side; scale the video down first"
        )


def _times(container: InputContainer, stream: VideoStream, limits: MediaLimits) -> tuple[list[Fraction], Fraction]:
    """Presentation times in order, and how long the last frame shows."""
    base = stream.time_base
    ticks = _ticks(container, stream, limits)
    if not ticks or base is None:
        raise BadInput("the video holds no frame; export it again and upload a file that plays")
    ordered = sorted(ticks)
    if max(abs(ordered[0]), abs(ordered[-1])) * base > CLOCK_SPAN_S:
        raise BadInput("the time stamps of the video make no sense; export it again at a constant frame rate")
    return [tick * base for tick in ordered], max(0, ticks[ordered[-1]]) * base


def _ticks(container: InputContainer, stream: VideoStream, limits: MediaLimits) -> dict[int, int]:
    """Time stamp -> duration of every packet that is shown, in units of the stream's time base."""
    ticks: dict[int, int] = {}
    try:
        for packet in container.demux(stream):
            tick = packet.pts if packet.pts is not None else packet.dts
            if tick is not None and packet.size and not packet.is_discard:
                ticks[tick] = packet.duration or 0
            if len(ticks) > limits.video_frames:
                raise BadInput(f"the video has over {limits.video_frames} frames, the limit; upload a shorter part of it")
    except av.error.FFmpegError as error:
        raise BadInput(BROKEN) from error
    return ticks


def _nominal(times: list[Fraction], declared: list[Fraction]) -> Fraction:
    try:
        return nominal_rate(times, declared)
    except ValueError as error:
        raise BadInput("the video says no frame rate; export it again at a constant frame rate") from error


def _check_length(slots: int, rate: Fraction, limits: MediaLimits) -> None:
    if rate > limits.frame_rate_max:
        raise BadInput(
            f"the video has {float(rate):.0f} frames a second, over the limit of {limits.frame_rate_max}; export it slower"
        )
    if slots / rate > limits.video_seconds:
        raise BadInput(
            f"the video lasts {float(slots / rate):.0f} seconds, over the limit of {limits.video_seconds:.0f}; shorten it"
        )
    if slots > limits.video_frames:
        raise BadInput(f"the video needs over {limits.video_frames} frames, the limit; upload a shorter part of it")
