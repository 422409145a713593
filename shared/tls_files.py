"""A certificate, its key and its authorities as files that somebody renews."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shared.log import get_logger


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: a certificate with what leads to its authority, its key, and the authorities of
    those one talks to.
    """

    cert: Path
    key: Path
    ca: Path

    def read(self) -> Pems:
        """Raises OSError, or ValueError (ssl.SSLError) when they are no pair or no authority."""
        pems = Pems(self.cert.read_bytes(), self.key.read_bytes(), self.ca.read_bytes())
        # gRPC says nothing of a bad file until each handshake fails.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=pems.ca.decode("ascii", "replace"))
        # A key with a password is a failure, never a question on some terminal.
        context.load_cert_chain(self.cert, self.key, password="")
        return pems

    def state(self) -> tuple[tuple[int, int, int], ...]:
        """Changes with the files. Raises OSError."""
        stats = [path.stat() for path in (self.cert, self.key, self.ca)]
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in stats)


@dataclass(frozen=True, slots=True)
class Pems:
    """What the files hold."""

    cert: bytes
    key: bytes
    ca: bytes


def validity(pem: bytes) -> tuple[datetime, datetime]:
    """From when and until when the first certificate of a PEM file is good. Raises ValueError.

    Read from its DER (RFC 5280, 4.1): a library that knows more of it takes ten megabytes.
    """
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    body = pem.partition(begin)[2].partition(end)[0]
    der = ssl.PEM_cert_to_DER_cert((begin + body + end).decode("ascii"))
    try:
        to_be_signed = next(_elements(next(_elements(der))[1]))[1]
        # After serial number, algorithm and issuer; a version in front has a tag of its own.
        fields = [content for tag, content in _elements(to_be_signed) if tag != _VERSION_TAG]
        begins, ends = _elements(fields[3])
    except (StopIteration, IndexError) as error:
        raise ValueError("no certificate") from error
    return _moment(*begins), _moment(*ends)


def _moment(tag: int, words: bytes) -> datetime:
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME_TAG else "%Y%m%d%H%M%SZ"
    return datetime.strptime(words.decode("ascii"), form).replace(tzinfo=UTC)


_VERSION_TAG, _UTC_TIME_TAG = 0xA0, 0x17


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of what stands in a row."""
    place = 0
    while place < len(der):
        tag, length, place = der[place], der[place + 1], place + 2
        if length & 0x80:
            digits = length & 0x7F
            length, place = int.from_bytes(der[place : place + digits], "big"), place + digits
        yield tag, der[place : place + length]
        place += length


class Renewals:
    """Tells when the files hold something new that is good; what is not is logged once, and read
    again at the next look.
    """

    def __init__(self, files: TlsFiles, *, look_seconds: float = 0.0) -> None:
        self._files = files
        self._look_seconds = look_seconds
        self._next_look = 0.0
        self._state: tuple[tuple[int, int, int], ...] = ()
        self._problem = ""

    def first(self) -> Pems:
        """Raises OSError, ValueError."""
        self._state = self._files.state()
        self._next_look = time.monotonic() + self._look_seconds
        return self._files.read()

    def later(self) -> Pems | None:
        """What is new since the last time, or None."""
        now = time.monotonic()
        if now < self._next_look:
            return None
        self._next_look = now + self._look_seconds
        try:
            state = self._files.state()
            if state == self._state:
                return None
            pems = self._files.read()
        except (OSError, ValueError) as error:
            # Tried again: what failed may be this process, short of file descriptors for a moment.
            if repr(error) != self._problem:
                self._problem = repr(error)
                get_logger().warning(
                    "certificate is not taken, the old one stays", problem=self._problem
                )
            return None
        self._state, self._problem = state, ""
        get_logger().info("certificate is taken anew", file=str(self._files.cert))
        return pems
