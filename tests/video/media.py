"""Files as people have them, made with plain PyAV: sound, subtitles, chapters and more beside a small picture."""

from fractions import Fraction

import av
import cv2
import numpy as np
from av.stream import Disposition
from av.subtitles.subtitle import SubtitleSet

MILLISECOND = Fraction(1, 1000)
HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,0,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
LINES = ((0.2, 0.7, r"A {\i1}rabbit{\i0}"), (0.9, 1.2, "in the grass, with ears"))
FONT = b"\0\1\0\0" * 60


def jpeg(width=30, height=20):
    """A picture as JPEG."""
    return cv2.imencode(".jpg", np.full((height, width, 3), 200, np.uint8))[1].tobytes()


class Film:
    """A file to be written, with 25 frames a second of a picture that changes.

    Args:
        path: Where to write it.
        codec, pix_fmt, options: How the pictures are encoded.
        frames, size: How many, and their width and height.
        movflags: For the muxer.
    """

    def __init__(self, path, *, codec="libx264", pix_fmt="yuv420p", frames=36, size=(64, 48), options=None, **muxer):
        self.path, self._frames = str(path), frames
        self.output = av.open(self.path, "w", container_options=muxer)
        self.video = self._add_video(codec, pix_fmt, size, options or {})
        self._packets = []
        self._more = None

    def _add_video(self, codec, pix_fmt, size, options):
        stream = self.output.add_stream(codec, rate=25, width=size[0], height=size[1], options=options)
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 25)
        return stream

    def sound(self, codec, layout="stereo", rate=48000, seconds=1.44, again=None, **tags):
        """A tone of 440 Hz, and once more from the second `again` on."""
        stream = self.output.add_stream(codec, rate=rate, options={"strict": "-2"})
        stream.codec_context.layout, stream.codec_context.bit_rate = layout, 128_000
        stream.metadata.update(tags)
        channels = stream.codec_context.layout.nb_channels
        wave = (8000 * np.sin(2 * np.pi * 440 / rate * np.arange(round(seconds * rate)))).astype(np.int16)

        def make():
            for begin in (0,) if again is None else (0, again):
                frame = av.AudioFrame.from_ndarray(np.repeat(wave, channels)[None], format="s16", layout=layout)
                frame.sample_rate, frame.pts, frame.time_base = rate, round(begin * rate), Fraction(1, rate)
                yield from stream.encode(frame)
            yield from stream.encode(None)

        self._packets.append(make)
        return self

    def raw(self, codec, packets, **settings):
        """A stream of packets as they are: (bytes, pts in ms, dts in ms)."""
        stream = self.output.add_mux_stream(codec, time_base=MILLISECOND, **settings)

        def make():
            for data, pts, dts in packets:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.time_base, packet.stream = pts, dts, MILLISECOND, stream
                packet.is_keyframe = True
                yield packet

        self._packets.append(make)
        return self

    def text(self, codec, lines=LINES, **tags):
        """Subtitles."""
        stream = self.output.add_stream(codec)
        stream.metadata.update(tags)
        encoder = stream.codec_context
        encoder.subtitle_header = HEADER
        encoder.time_base = stream.time_base = MILLISECOND

        def make():
            for number, (begin, end, words) in enumerate(lines):
                length = round(1000 * (end - begin))
                line = SubtitleSet.create(f"{number},0,Default,,0,0,0,,{words}".encode(), 0, length)
                packet = encoder.encode_subtitle(line)
                packet.pts = packet.dts = round(1000 * begin)
                packet.duration, packet.time_base, packet.stream = length, MILLISECOND, stream
                yield packet

        self._packets.append(make)
        return self

    def chapters(self, *parts):
        """Chapters: (begin in ms, end in ms, title)."""
        self.output.set_chapters(
            [
                {"id": n, "start": a, "end": b, "time_base": MILLISECOND, "metadata": {"title": title}}
                for n, (a, b, title) in enumerate(parts, 1)
            ]
        )
        return self

    def cover(self):
        """A cover picture in MP4 or MOV."""
        stream = self.output.add_stream("mjpeg", rate=25, width=30, height=20)
        stream.pix_fmt = "yuvj420p"
        stream.disposition = Disposition.attached_pic

        def make():
            packet = av.Packet(jpeg())
            packet.pts = packet.dts = 0
            packet.time_base, packet.stream, packet.is_keyframe = MILLISECOND, stream, True
            yield packet

        self._packets.append(make)
        return self

    def second_video(self):
        """A copy of the pictures, beside them."""
        context = self.video.codec_context
        self._more = self._add_video("libx264", "yuv420p", (context.width, context.height), {})
        return self

    def attachment(self, name, kind, data):
        self.output.add_attachment(name, kind, data)
        return self

    def tags(self, **tags):
        self.output.metadata.update(tags)
        return self

    def save(self):
        """Write it all; gives the path."""
        with self.output as output:
            output.start_encoding()
            for make in self._packets:
                output.mux(list(make()))
            for number in range(self._frames):
                context = self.video.codec_context
                pixels = np.full((context.height, context.width, 4), 60 + 3 * number, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=context.pix_fmt)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                for stream in filter(None, (self.video, self._more)):
                    output.mux(stream.encode(frame))
            for stream in filter(None, (self.video, self._more)):
                output.mux(stream.encode(None))
        return self.path


def streams(path):
    """(type, codec) of each stream of a file."""
    with av.open(str(path)) as container:
        return [(stream.type, getattr(stream, "name", None)) for stream in container.streams]


def packets(path, index):
    """(seconds, bytes) of the packets of a stream."""
    with av.open(str(path)) as container:
        stream = container.streams[index]
        return [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(stream) if p.size and p.pts is not None]


def seconds_of_sound(path):
    """How long the sound of a file lasts once it is decoded, and how loud it is (0 to 1)."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48000)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
        return len(samples) / 48000, float(np.sqrt((samples**2).mean()))


def texts(path):
    """(begin, length, text) of the subtitles of a file."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        found = []
        for packet in container.demux(stream):
            for line in (stream.codec_context.decode2(packet) if packet.size else None) or ():
                base = packet.time_base
                found.append((float(packet.pts * base), float(packet.duration * base), line.dialogue.decode()))
        return found
