"""The part of HEIF that says what a still is made of (ISO/IEC 23008-12 and 14496-12): items, their bytes and their properties."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from media.errors import BadInput

BROKEN = "the image is broken or cut short; export it again as JPEG or PNG"
BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"})
ITEMS_MAX = EXTENTS_MAX = 4096
CONTAINERS = frozenset({b"iprp", b"ipco"})


@dataclass(slots=True)
class Item:
    """One coded picture, grid or blob. properties: kind and content of its boxes, in the order that they apply."""

    kind: bytes = b""
    extents: list[tuple[bool, int, int]] = field(default_factory=list)  # (within `idat`, offset, length)
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    tiles: list[int] = field(default_factory=list)
    auxiliary_of: list[int] = field(default_factory=list)

    def first(self, kind: bytes) -> bytes | None:
        """Content of the first property of a kind."""
        return next((content for name, content in self.properties if name == kind), None)


class HeifFile:
    """A file's items. Raises BadInput for one that is not HEIF or whose boxes make no sense."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.items: dict[int, Item] = {}
        self._idat = b""
        self._extents = 0
        try:
            meta = next(content for kind, content in boxes(data) if kind == b"meta")
            parts = dict(boxes(meta[4:]))
            self._idat = parts.get(b"idat", b"")
            self._read_kinds(Reader(parts[b"iinf"]))
            self._read_places(Reader(parts[b"iloc"]))
            self._read_references(parts.get(b"iref", b""))
            self._read_properties(dict(boxes(parts[b"iprp"])))
            primary = Reader(parts[b"pitm"])
            self.primary = primary.unsigned(2 if primary.version == 0 else 4)
            self.item(self.primary)
        except (StopIteration, KeyError, IndexError, struct.error) as error:
            raise BadInput(BROKEN) from error

    def item(self, number: int) -> Item:
        """An item by its number. Raises BadInput when there is none."""
        try:
            return self.items[number]
        except KeyError as error:
            raise BadInput(BROKEN) from error

    def content(self, item: Item) -> bytes:
        """The bytes of an item. Raises BadInput when they lie outside the file."""
        parts, size = [], 0
        for inside, offset, length in item.extents:
            source = self._idat if inside else self._data
            part = source[offset : offset + length] if length else source[offset:]
            if not part or (length and len(part) < length):
                raise BadInput(BROKEN)
            parts.append(part)
            size += len(part)
            if size > len(self._data):  # extents that lie over each other
                raise BadInput(BROKEN)
        return b"".join(parts)

    def _item(self, number: int) -> Item:
        if number not in self.items and len(self.items) >= ITEMS_MAX:
            raise BadInput(BROKEN)
        return self.items.setdefault(number, Item())

    def _read_kinds(self, reader: Reader) -> None:
        reader.unsigned(2 if reader.version == 0 else 4)  # how many there are
        for kind, content in boxes(reader.rest()):
            entry = Reader(content)
            if kind == b"infe" and entry.version in (2, 3):
                number = entry.unsigned(2 if entry.version == 2 else 4)
                entry.unsigned(2)  # protection
                self._item(number).kind = entry.take(4)

    def _read_places(self, reader: Reader) -> None:
        sizes = reader.unsigned(2)
        offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        wide = 2 if reader.version < 2 else 4
        for _ in range(reader.unsigned(wide)):
            item = self._item(reader.unsigned(wide))
            inside = reader.version > 0 and reader.unsigned(2) & 15 == 1
            reader.unsigned(2)  # data reference
            base, count = reader.unsigned(base_size), reader.unsigned(2)
            self._count_extents(item, count, length_size)
            for _ in range(count):
                reader.unsigned(index_size if reader.version > 0 else 0)
                offset = base + reader.unsigned(offset_size)
                item.extents.append((inside, offset, reader.unsigned(length_size)))

    def _count_extents(self, item: Item, count: int, length_size: int) -> None:
        """Raise BadInput for extents that cost the file no bytes: without lengths each would be all the rest of it."""
        self._extents += count
        if item.extents or (count > 1 and not length_size) or self._extents > EXTENTS_MAX:
            raise BadInput(BROKEN)

    def _read_references(self, data: bytes) -> None:
        if not data:
            return
        reader = Reader(data)
        wide = 2 if reader.version == 0 else 4
        for kind, content in boxes(reader.rest()):
            entry = Reader(content, full=False)
            item = self._item(entry.unsigned(wide))
            targets = [entry.unsigned(wide) for _ in range(entry.unsigned(2))]
            if kind == b"dimg":
                item.tiles = targets
            elif kind == b"auxl":
                item.auxiliary_of = targets

    def _read_properties(self, parts: dict[bytes, bytes]) -> None:
        known = list(boxes(parts[b"ipco"]))
        reader = Reader(parts[b"ipma"])
        for _ in range(reader.unsigned(4)):
            item = self._item(reader.unsigned(2 if reader.version == 0 else 4))
            for _ in range(reader.unsigned(1)):
                index = reader.unsigned(2) & 0x7FFF if reader.flags & 1 else reader.unsigned(1) & 0x7F
                if index:
                    item.properties.append(known[index - 1])


class Reader:
    """Takes big-endian numbers from a box; `full` boxes begin with a version and flags."""

    def __init__(self, data: bytes, *, full: bool = True) -> None:
        self._data, self._at = data, 0
        self.version = self.unsigned(1) if full else 0
        self.flags = self.unsigned(3) if full else 0

    def unsigned(self, size: int) -> int:
        """The next `size` bytes as a number. Raises struct.error at the end."""
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises struct.error at the end."""
        part = self._data[self._at : self._at + size]
        if len(part) < size:
            raise struct.error("box cut short")
        self._at += size
        return part

    def rest(self) -> bytes:
        """What was not taken yet."""
        return self._data[self._at :]


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes that lie one after the other. Raises struct.error for a size that cannot be."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            header = 16
        size = size or len(data) - at
        if size < header or at + size > len(data):
            raise struct.error("box size out of range")
        yield kind, data[at + header : at + size]
        at += size
