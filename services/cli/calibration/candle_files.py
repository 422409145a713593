"""Candles out of CSV files, plain or gzip: whatever names their columns have."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument
from shared.touch import Hours

Floats = NDArray[np.float64]

_ENDINGS: Final = (".csv", ".csv.gz")
_TIMES: Final = (
    *("unix", "unix_seconds", "timestamp", "open_time", "opentime", "time", "date", "datetime"),
    *("unix_milliseconds", "start_time"),
)
_PRICES: Final = ("high", "low", "close")
_HOUR_SECONDS: Final = 3600
# What is larger counts thousandths, then millionths of a second.
_LARGEST_SECONDS: Final = 1e11
_MOST_BYTES: Final = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CandleFile:
    """The hours of one file; `problem` is empty, or says why it is left out."""

    name: str
    hours: Hours
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CandleRows:
    """Candles of any length in rising order: starts in seconds since 1970, prices in USD."""

    seconds: Floats
    high: Floats
    low: Floats
    close: Floats


def candle_files(folder: Path) -> list[CandleFile]:
    """Every CSV file of the folder by name. Raises InvalidArgument BAD_FOLDER when there is none.

    A file that holds no hourly candles is there with its problem.
    """
    if not folder.is_dir():
        raise _bad(f"{folder} is no folder")
    paths = sorted(path for path in folder.iterdir() if path.name.lower().endswith(_ENDINGS))
    if not paths:
        raise _bad(f"{folder} holds no {' or '.join(_ENDINGS)} file")
    return [_read(path) for path in paths]


def _bad(problem: str) -> InvalidArgument:
    return InvalidArgument("BAD_FOLDER", problem, fields={"candles": "a folder of CSV files"})


def _read(path: Path) -> CandleFile:
    name = path.name.removesuffix(".gz").removesuffix(".csv")
    try:
        return CandleFile(name, hours_of(lines_of(path)))
    except (ValueError, EOFError, zlib.error, csv.Error) as error:
        return CandleFile(name, _NO_HOURS, str(error) or type(error).__name__)
    except OSError as error:
        return CandleFile(name, _NO_HOURS, error.strerror or "cannot be read")


def lines_of(path: Path) -> Sequence[str]:
    """The lines of a CSV file. Raises ValueError, EOFError, zlib.error, OSError."""
    with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError("larger than 512 MiB")
    return content.decode("utf-8-sig").splitlines()


def candle_file(path: Path) -> CandleRows:
    """The candles of one file; InvalidArgument BAD_CANDLES says what is wrong with it."""
    try:
        return candle_rows(lines_of(path))
    except (ValueError, EOFError, zlib.error, csv.Error) as error:
        problem = str(error) or type(error).__name__
    except OSError as error:
        problem = error.strerror or "cannot be read"
    raise InvalidArgument("BAD_CANDLES", f"{path}: {problem}", fields={"candles": problem})


_NO_HOURS: Final = Hours(np.empty(0, np.int64), *np.empty((3, 0)))


def hours_of(lines: Sequence[str]) -> Hours:
    """Hourly candles of a CSV text, as `candle_rows` reads it. Raises ValueError in words."""
    rows = candle_rows(lines)
    step = np.median(np.diff(rows.seconds))
    if step != _HOUR_SECONDS:
        raise ValueError(f"candles of {step:g} s, not of an hour")
    hours = (rows.seconds // _HOUR_SECONDS).astype(np.int64)
    return Hours(hours, rows.high, rows.low, rows.close)


def candle_rows(lines: Sequence[str]) -> CandleRows:
    """The candles of a CSV text in rising order. Raises ValueError in words.

    Its header stands in one of the first lines; times are seconds, milliseconds or microseconds
    since 1970, or ISO 8601 (UTC when it names no zone).
    """
    start = next((place for place, line in enumerate(lines[:5]) if _is_header(line)), None)
    if start is None:
        raise ValueError(f"no header with a time and {', '.join(_PRICES)}")
    rows = list(csv.DictReader(lines[start:]))
    names = {name.strip().lower(): name for name in rows[0] if name} if rows else {}
    if len(rows) < 2:
        raise ValueError("no rows")
    time = next(names[name] for name in _TIMES if name in names)
    seconds = np.array([_seconds(row[time] or "") for row in rows])
    prices = np.array([_numbers(row, names) for row in rows]).T
    order = np.argsort(seconds, kind="stable")
    seconds, (high, low, close) = seconds[order], prices[:, order]
    if not (np.diff(seconds) > 0).all():
        raise ValueError("two candles have one time")
    if not ((low > 0) & (low <= close) & (close <= high)).all():
        raise ValueError("a candle contradicts itself")
    return CandleRows(seconds, high, low, close)


def _is_header(line: str) -> bool:
    names = {name.strip().strip('"').lower() for name in line.split(",")}
    return names.issuperset(_PRICES) and not names.isdisjoint(_TIMES)


def _numbers(row: Mapping[str, str | None], names: Mapping[str, str]) -> Iterable[float]:
    found = [float(row[names[name]] or "nan") for name in _PRICES]
    if not all(map(math.isfinite, found)):
        raise ValueError("a price is missing")
    return found


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(number):
        raise ValueError("a time is missing")
    while abs(number) > _LARGEST_SECONDS:
        number /= 1000.0
    return number
