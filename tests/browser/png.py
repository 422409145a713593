"""A picture of a page with at most 256 colours: a third of what the browser writes."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = 256


def smaller(picture: bytes) -> bytes:
    """The same picture by a palette: its most frequent colours, every other one by the nearest.

    Takes 8 bits a channel, RGB or RGBA, not interlaced, as browsers write; anything else stays.
    """
    width, height, channels, packed = _read(picture)
    if channels == 0:
        return picture
    pixels = _unfiltered(zlib.decompress(packed), width, height, channels)[..., :3]
    palette, places = _palette(pixels.reshape(-1, 3))
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = places.reshape(height, width)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette.tobytes()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _read(picture: bytes) -> tuple[int, int, int, bytes]:
    """Width, height, channels (0: of another kind) and the packed rows."""
    place, packed, width, height, channels = len(_SIGNATURE), b"", 0, 0, 0
    while place < len(picture):
        length, kind = struct.unpack_from(">I4s", picture, place)
        body = picture[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            known = {2: 3, 6: 4}.get(colour, 0)
            channels = known if depth == 8 and not interlaced else 0
        elif kind == b"IDAT":
            packed += body
        place += 12 + length
    return width, height, channels, packed


def _unfiltered(raw: bytes, width: int, height: int, channels: int) -> Bytes:
    """Pixels (height, width, channels) of filtered rows, by the filters of the PNG standard."""
    length = width * channels
    above, whole = bytearray(length), bytearray()
    for start in range(0, height * (length + 1), length + 1):
        line = bytearray(raw[start + 1 : start + 1 + length])
        _FILTERS[raw[start]](line, above, channels)
        whole += line
        above = line
    return np.frombuffer(whole, np.uint8).reshape(height, width, channels)


def _none(line: bytearray, above: bytearray, channels: int) -> None:
    """As it is."""


def _left(line: bytearray, above: bytearray, channels: int) -> None:
    for place in range(channels, len(line)):
        line[place] = (line[place] + line[place - channels]) & 255


def _up(line: bytearray, above: bytearray, channels: int) -> None:
    both = np.frombuffer(line, np.uint8) + np.frombuffer(above, np.uint8)
    line[:] = both.tobytes()


def _average(line: bytearray, above: bytearray, channels: int) -> None:
    for place, up in enumerate(above):
        left = line[place - channels] if place >= channels else 0
        line[place] = (line[place] + ((left + up) >> 1)) & 255


def _paeth(line: bytearray, above: bytearray, channels: int) -> None:
    for place, up in enumerate(above):
        left, corner = (
            (line[place - channels], above[place - channels]) if place >= channels else (0, 0)
        )
        to_left, to_up, to_corner = (
            abs(up - corner),
            abs(left - corner),
            abs(left + up - 2 * corner),
        )
        if to_left <= to_up and to_left <= to_corner:
            guess = left
        else:
            guess = up if to_up <= to_corner else corner
        line[place] = (line[place] + guess) & 255


_FILTERS = (_none, _left, _up, _average, _paeth)


def _palette(pixels: Bytes) -> tuple[Bytes, Bytes]:
    """Colours (n <= 256, 3) and the place of each pixel's colour among them."""
    codes = (pixels.astype(np.uint32) << np.array([16, 8, 0], np.uint32)).sum(1, dtype=np.uint32)
    colours, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    split = np.stack([colours >> 16 & 255, colours >> 8 & 255, colours & 255], axis=1)
    kept = np.argsort(-counts, kind="stable")[:_COLOURS]
    chosen = split[kept].astype(np.int32)
    nearest = np.empty(len(colours), np.uint8)
    for start in range(0, len(colours), 4096):
        part = split[start : start + 4096].astype(np.int32)
        away = ((part[:, None] - chosen[None]) ** 2).sum(2)
        nearest[start : start + 4096] = away.argmin(1)
    return chosen.astype(np.uint8), nearest[places.reshape(-1)]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
