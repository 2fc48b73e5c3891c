"""The shape of pixels in Matroska and WebM files, which FFmpeg writes only from where PyAV can't put it.

The file is there and gets two more elements in its header, for which the space is taken that FFmpeg reserves behind
the header's table of contents. The format: RFC 8794 (EBML) and RFC 9559 (Matroska).
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

_SEGMENT, _SEEK_HEAD, _SEEK, _POSITION = 0x18538067, 0x114D9B74, 0x4DBB, 0x53AC
_VOID, _CRC, _TRACKS, _TRACK, _VIDEO = 0xEC, 0xBF, 0x1654AE6B, 0xAE, 0xE0
_WIDTH, _HEIGHT, _UNIT = 0x54B0, 0x54BA, 0x54B2
_HEADER = 1 << 20  # bytes in which FFmpeg's header ends, but for attachments, which come later


@dataclass(frozen=True)
class _Element:
    id: int
    begin: int  # of the element, in the bytes that it was found in
    data: bytes

    @property
    def whole(self) -> bytes:
        return _element(self.id, self.data)


def set_pixel_aspect(path: Path, width: int, height: int, aspect: Fraction) -> bool:
    """Tell players the shape of a video's pixels.

    Args:
        path: A Matroska or WebM file that FFmpeg has written.
        width, height: Size of the picture in pixels.
        aspect: Width of one pixel divided by its height.

    Returns:
        Whether it could be done; the file is unchanged if not.
    """
    with path.open("r+b") as file:
        header = file.read(_HEADER)
        start = _segment(header)
        begin = next((item for item in _children(header, start) if item.id == _SEEK_HEAD), None)
        if begin is None:
            return False
        # The elements up to the tracks, one after the other.
        parts = []
        for item in _children(header, begin.begin):
            parts.append(item)
            if item.id == _TRACKS:
                break
        if len(parts) < 3 or parts[1].id != _VOID or parts[-1].id != _TRACKS:
            return False
        end = parts[-1].begin + _length(header, parts[-1].begin)
        rest = header[parts[2].begin : parts[-1].begin]
        tracks = _with_crc(_TRACKS, _shaped(parts[-1].data, *display_size(width, height, aspect)))
        # What lies between the free space and the end of the tracks moves; what follows stays where it is.
        moved = {item.begin - start for item in parts[2:]}
        head = _with_crc(_SEEK_HEAD, _sought(parts[0].data, moved, end - parts[-1].begin - len(tracks)))
        space = end - begin.begin - len(head) - len(rest) - len(tracks)
        if space < 9:
            return False
        void = bytes([_VOID]) + (space - 9 | 1 << 56).to_bytes(8) + bytes(space - 9)
        file.seek(begin.begin)
        file.write(head + void + rest + tracks)
    return True


def display_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size near that of the picture that has its shape: exactly if there is one, else to a pixel."""
    shape = width * aspect / height
    times = max(1, round(height / shape.denominator))
    if abs(times * shape.denominator - height) <= height // 4:
        return times * shape.numerator, times * shape.denominator
    return max(1, round(width * aspect)), height


def _shaped(tracks: bytes, width: int, height: int) -> bytes:
    """The content of the tracks' element with the size of display in the first track of pictures."""
    size = _element(_WIDTH, struct.pack(">I", width)) + _element(_HEIGHT, struct.pack(">I", height))
    entries, found = [], False
    for track in _children(tracks):
        facts = list(_children(track.data)) if track.id == _TRACK else []
        if found or not any(fact.id == _VIDEO for fact in facts):
            entries.append(track.whole)
            continue
        found = True
        content = b""
        for fact in facts:
            if fact.id == _VIDEO:
                kept = [item.whole for item in _children(fact.data) if item.id not in (_WIDTH, _HEIGHT, _UNIT)]
                content += _element(_VIDEO, b"".join(kept) + size)
            else:
                content += fact.whole
        entries.append(_element(_TRACK, content))
    return b"".join(entries)


def _sought(seek_head: bytes, moved: set[int], shift: int) -> bytes:
    """The table of contents with the places of the elements that moved."""
    content = b""
    for entry in _children(seek_head):
        if entry.id != _SEEK:
            content += entry.whole
            continue
        facts = b""
        for fact in _children(entry.data):
            place = int.from_bytes(fact.data)
            if fact.id == _POSITION and place in moved:
                place += shift
                facts += _element(fact.id, place.to_bytes((place.bit_length() + 7) // 8))
            else:
                facts += fact.whole
        content += _element(_SEEK, facts)
    return content


def _with_crc(number: int, data: bytes) -> bytes:
    """An element whose checksum, if it has one, is right."""
    children = list(_children(data))
    if children and children[0].id == _CRC:
        rest = b"".join(child.whole for child in children[1:])
        data = _element(_CRC, zlib.crc32(rest).to_bytes(4, "little")) + rest
    return _element(number, data)


def _segment(header: bytes) -> int:
    """Where the content of the file's segment begins."""
    first = _length(header, 0)
    number, place = _id(header, first)
    if number != _SEGMENT:
        return len(header)
    return _size(header, place)[1]


def _children(data: bytes, place: int = 0) -> Iterator[_Element]:
    while place < len(data) - 1:
        number, behind = _id(data, place)
        size, behind = _size(data, behind)
        if behind + size > len(data):
            return
        yield _Element(number, place, data[behind : behind + size])
        place = behind + size


def _length(data: bytes, place: int) -> int:
    """Bytes of the element at a place, with its head."""
    size, behind = _size(data, _id(data, place)[1])
    return behind + size - place


def _id(data: bytes, place: int) -> tuple[int, int]:
    length = 9 - data[place].bit_length()
    return int.from_bytes(data[place : place + length]), place + length


def _size(data: bytes, place: int) -> tuple[int, int]:
    length = 9 - data[place].bit_length()
    return int.from_bytes(data[place : place + length]) & ((1 << 7 * length) - 1), place + length


def _element(number: int, data: bytes) -> bytes:
    length = 1
    while len(data) >= (1 << 7 * length) - 1:
        length += 1
    return number.to_bytes((number.bit_length() + 7) // 8) + (len(data) | 1 << 7 * length).to_bytes(length) + data
