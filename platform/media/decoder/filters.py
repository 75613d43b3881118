"""A chain of FFmpeg filters with one picture in and one out, and a colour table where the chain asks for one."""

from __future__ import annotations

from fractions import Fraction

import av
import av.filter
import numpy as np
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

from media.decoder.tone import Grade, table
from media.errors import BadInput

TABLE_FILTER = "haldclut=clut=first"
TABLE_FORMAT = "rgb48le"  # packed: FFmpeg 8 swaps the channels of a planar table
TABLE_LEVEL = 8  # a picture of 8**3 x 8**3 pixels holds the 64 x 64 x 64 colours of the table
TICK = Fraction(1, 1000)


class FilterGraph:
    """Filters ready for frames of one size and format. filters: steps `name=arguments` between commas."""

    def __init__(self, frame: VideoFrame, filters: str, grade: Grade | None) -> None:
        self._count = 0
        self._graph = graph = av.filter.Graph()
        self._source = _source(graph, frame)
        previous = self._source
        for step in filters.split(","):
            name, _, arguments = step.partition("=")
            node = graph.add(name, arguments) if arguments else graph.add(name)
            previous.link_to(node)
            previous = node
            if step == TABLE_FILTER and grade is not None:
                picture = _table_picture(grade)
                clut = _source(graph, picture)
                clut.link_to(node, 0, 1)
        self._sink = graph.add("buffersink")
        previous.link_to(self._sink)
        graph.configure()
        if grade is not None:
            clut.push(picture)
            clut.push(None)

    def filtered(self, frame: VideoFrame) -> VideoFrame:
        """The frame after all filters. Raises BadInput when nothing comes out."""
        frame.pts, frame.time_base = self._count, TICK
        self._count += 1
        self._source.push(frame)
        converted = self._sink.pull()
        if not isinstance(converted, VideoFrame):
            raise BadInput("the video cannot be converted; export it again as H.264 in MP4")
        return converted


def _source(graph: av.filter.Graph, frame: VideoFrame) -> FilterContext:
    return graph.add_buffer(template=None, width=frame.width, height=frame.height, format=frame.format, time_base=TICK)


def _table_picture(grade: Grade) -> VideoFrame:
    side = TABLE_LEVEL**3
    codes = np.rint(table(grade, TABLE_LEVEL**2) * 65_535).astype(np.uint16).reshape(side, side, 3)
    picture = VideoFrame.from_ndarray(codes, format=TABLE_FORMAT)
    picture.pts, picture.time_base = 0, TICK
    return picture
