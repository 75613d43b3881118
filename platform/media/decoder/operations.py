"""What the decoder process can be asked to do. Each operation writes its messages to the parent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.frame import VideoFrame

from media.decoder.clip import FrameReader, demux, first_picture, within
from media.decoder.clock import place
from media.decoder.container import Survey, audio_stream, open_container, survey, video_stream
from media.decoder.pixels import Converter, Picture
from media.decoder.sound import PacketCopier, Steady, Transcoder, can_copy, decode, samples_of
from media.decoder.still import normalise
from media.decoder.wire import Header, send
from media.limits import MediaLimits


class Answer:
    """Answers one request about one file."""

    def __init__(self, request: Header, limits: MediaLimits, out: BinaryIO) -> None:
        self._request, self._limits, self._out = request, limits, out
        self._path = Path(request["path"])
        self._tolerant = bool(request.get("tolerant", False))

    def give(self, operation: str) -> None:
        """Run an operation by its name."""
        operations: dict[str, Callable[[], None]] = {
            "probe": self.probe,
            "frames": self.frames,
            "copy": self.copy,
            "sound": self.sound,
            "still": self.still,
        }
        operations[operation]()

    def probe(self) -> None:
        """Say what the clip is."""
        self._introduce()
        send(self._out, {"kind": "end"})

    def frames(self) -> None:
        """Every frame with its time stamp, as the file has them."""
        seen, picture = self._introduce()
        converter = Converter(picture)
        container, _ = open_container(self._path)
        with container:
            stream = video_stream(container)
            reader = FrameReader(stream, self._limits, tolerant=self._tolerant, order_s=seen.order_s)
            decoded = (timed for packet in demux(container, stream) for timed in reader.frames(packet))
            shown_s, planes = Fraction(0), b""
            for time_s, frame in within(decoded, seen):
                shown_s, planes = time_s, converter.planes(frame).tobytes()
                send(self._out, {"kind": "frame", "time_s": float(shown_s)}, planes)
            held_s = min(seen.last_shows_s, Fraction(self._limits.video_seconds)) - 1 / seen.frame_rate
            if planes and held_s > 1 / seen.frame_rate:  # a frame held at the end is seen for that long: it comes once more
                send(self._out, {"kind": "frame", "time_s": float(shown_s + held_s)}, planes)
        send(self._out, {"kind": "end", "faults": reader.faults})

    def copy(self) -> None:
        """The frames of a constant-rate copy, interleaved with AAC packets."""
        seen, picture = self._introduce()
        converter = Converter(picture)
        container, _ = open_container(self._path)
        with container:
            decoded = within(self._decode_with_sound(container, seen), seen)
            for frame, repeats in place(decoded, seen.frame_rate, seen.slots):
                if repeats:
                    send(self._out, {"kind": "frame", "repeats": repeats}, converter.planes(frame).tobytes())
        send(self._out, {"kind": "end"})

    def sound(self) -> None:
        """float32 samples, mono or left and right by turns, at the rate asked for; places count from the first video frame."""
        seen = survey(self._path, self._limits)
        container, _ = open_container(self._path)
        with container:
            stream = audio_stream(container, self._limits)
            if stream is not None:
                self._send_samples(container, stream, Steady(self._request["sample_rate"], self._request["layout"], seen.first_s))
        send(self._out, {"kind": "end", "silent": stream is None, "text_streams": seen.text_streams})

    def still(self) -> None:
        """A still as RGB rows, and what its transparency hid."""
        picture = normalise(self._path, self._limits)
        height, width, _ = picture.rgb.shape
        header = {"kind": "still", "width": width, "height": height, "notes": picture.notes}
        send(self._out, {**header, "part": "seen"}, picture.rgb.tobytes())
        if picture.under_alpha is not None:
            send(self._out, {**header, "part": "under_alpha"}, picture.under_alpha.tobytes())
        send(self._out, {"kind": "end"})

    def _introduce(self) -> tuple[Survey, Picture]:
        seen = survey(self._path, self._limits)
        picture = first_picture(self._path, self._limits, long_side_px=self._request["long_side_px"], tolerant=self._tolerant)
        facts = {**_plain(asdict(seen)), "picture": _plain(asdict(picture)), "audio": self._audio(seen)}
        del facts["order_s"]
        send(self._out, {"kind": "info", **facts})
        return seen, picture

    def _audio(self, seen: Survey) -> Header | None:
        container, _ = open_container(self._path)
        with container:
            stream = audio_stream(container, self._limits)
            if stream is None:
                return None
            context = stream.codec_context
            start_s = (stream.start_time or 0) * (stream.time_base or Fraction(0)) - seen.first_s
            found = {"codec": context.codec.canonical_name, "sample_rate": context.sample_rate, "channels": context.channels}
            return {**found, "start_s": float(start_s)}

    def _decode_with_sound(self, container: InputContainer, seen: Survey) -> Iterator[tuple[Fraction, VideoFrame]]:
        """Frames in order; the sound found between them is sent on at once."""
        stream = video_stream(container)
        sound = audio_stream(container, self._limits)
        reader = FrameReader(stream, self._limits, tolerant=False, order_s=seen.order_s)
        if sound is None:
            for packet in demux(container, stream):
                yield from reader.frames(packet)
            return
        carrier = (PacketCopier if can_copy(sound) else Transcoder)(sound, seen.first_s)
        send(self._out, {"kind": "sound", "sample_rate": carrier.sample_rate, "channels": carrier.channels})
        for packet in demux(container, stream, sound):
            if packet.stream_index == stream.index:
                yield from reader.frames(packet)
                continue
            for aac in carrier.packets(packet):
                send(self._out, {"kind": "aac", "sample": aac.sample, "duration": aac.duration}, aac.data)

    def _send_samples(self, container: InputContainer, stream: AudioStream, steady: Steady) -> None:
        for packet in demux(container, stream):
            ready = [frame for decoded in decode(packet) for frame in steady.push(decoded)]
            ready += steady.push(None) if not packet.size else []
            for frame in ready:
                send(self._out, {"kind": "samples", "sample": frame.pts or 0}, samples_of(frame).tobytes())


def _plain(values: Header) -> Header:
    """Fractions as "n/d": JSON has no exact rationals."""
    return {key: str(value) if isinstance(value, Fraction) else value for key, value in values.items()}
