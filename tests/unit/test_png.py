"""Pictures with a palette: the same picture as far as 256 colours go."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from tests.browser import png


def _written(pixels: np.ndarray, kinds: list[int]) -> bytes:
    """A PNG whose rows are filtered by these kinds, written down once more by the standard."""
    height, width, channels = pixels.shape
    padded = np.zeros((height + 1, width + 1, channels), int)
    padded[1:, 1:] = pixels
    raw = b""
    for row in range(1, height + 1):
        kind, line = kinds[(row - 1) % len(kinds)], []
        for column in range(1, width + 1):
            for channel in range(channels):
                a, b, c = (
                    padded[at, of, channel]
                    for at, of in ((row, column - 1), (row - 1, column), (row - 1, column - 1))
                )
                p = a + b - c
                paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
                guess = (0, a, b, (a + b) // 2, paeth)[kind]
                line.append((padded[row, column, channel] - guess) & 255)
        raw += bytes([kind, *line])
    head = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _shown(picture: bytes) -> np.ndarray:
    """Pixels of a picture by palette, unfiltered rows."""
    place, parts = 8, {}
    while place < len(picture):
        length, kind = struct.unpack_from(">I4s", picture, place)
        parts[kind] = picture[place + 8 : place + 8 + length]
        place += 12 + length
    width, height = struct.unpack_from(">II", parts[b"IHDR"])
    palette = np.frombuffer(parts[b"PLTE"], np.uint8).reshape(-1, 3)
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return palette[rows[:, 1:]]


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kinds", [[0], [1], [2], [3], [4], [0, 1, 2, 3, 4]])
def test_a_picture_of_few_colours_is_the_same_after_it(channels: int, kinds: list[int]) -> None:
    chance = np.random.default_rng(7)
    colours = chance.integers(0, 256, (60, channels))
    pixels = colours[chance.integers(0, 60, (9, 11))]
    assert (_shown(png.smaller(_written(pixels, kinds))) == pixels[..., :3]).all()


def test_of_too_many_colours_the_rare_ones_are_told_by_the_nearest() -> None:
    row = np.arange(300)
    pixels = np.stack([row % 256, row // 256 * 9, row * 0], axis=1)[None].repeat(3, axis=0)
    shown = _shown(png.smaller(_written(pixels, [0])))
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) <= 256
    assert np.abs(shown.astype(int) - pixels).max() <= 60


def test_what_is_no_plain_picture_stays_as_it_is() -> None:
    grey = _written(np.zeros((2, 2, 3), int), [0])
    grey = grey[:25] + b"\x00" + grey[26:]
    assert png.smaller(grey) == grey
