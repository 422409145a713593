"""How the command line speaks: tables for people, JSON for scripts, one line for a failure."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import IO, Any, ParamSpec

import typer
from google.protobuf import json_format
from google.protobuf.message import Message
from pydantic import ValidationError
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from services.cli.plan import BAD_SETTINGS
from shared.errors import SonicError

P = ParamSpec("P")

# What a terminal obeys (escapes, C0 and C1) or what turns the reading order or hides: shown, never
# sent.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)


def visible(text: str) -> str:
    """The text with such characters written out: the name of a thing may hold a terminal's
    commands.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _Visible:
    """A renderable whose texts are visible; the colours are ours and stay."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


class _Careful(RenderHook):
    """Stands before everything that is printed."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Visible(one) for one in renderables]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """A reader that left is an error like any other: rich would end the process, whoever
        prints.
        """
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Unbroken:
    """A stream that outlives its reader and a full disk: what it does not take is dropped.

    For what must go on working when nobody can be shown anything.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As of any stream, but never raises."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As of any stream, but never raises."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _console(*, stderr: bool = False) -> Console:
    # Without markup: a name like [red] or [/] is a name.
    made = _Console(stderr=stderr, markup=False, emoji=False)
    made.push_render_hook(_Careful())
    return made


@contextmanager
def unbroken() -> Iterator[None]:
    """While the block runs, what the console cannot print is dropped."""
    printing: Any = console
    printing.file = Unbroken(sys.stdout)
    try:
        yield
    finally:
        printing.file = None


console = _console()
complaints = _console(stderr=True)

LEVEL_STYLES = {"NORMAL": "green", "LOW": "cyan", "MEDIUM": "yellow", "HIGH": "bold red"}
STATE_STYLES = {
    "SUCCEEDED": "green",
    "PARTIAL": "yellow",
    "FAILED": "bold red",
    "SKIPPED": "bright_black",
    "CANCELLED": "magenta",
    "RUNNING": "cyan",
    "PENDING": "bright_black",
}
# Upper edges of the colour bands; above the last one it is red.
HEAT_BANDS = ((20, "blue"), (40, "green"), (60, "yellow"), (80, "dark_orange"))
TRAVEL_BANDS = ((25, "green"), (50, "yellow"), (75, "dark_orange"))
AGE_BANDS = ((300, "green"), (900, "yellow"))


def band(value: float | None, bands: Sequence[tuple[float, str]]) -> str:
    """Colour of a value; absent is grey, never green."""
    if value is None:
        return "bright_black"
    return next((colour for edge, colour in bands if value <= edge), "red")


def known(message: Message, field: str) -> float | None:
    """An optional number, or None."""
    return float(getattr(message, field)) if message.HasField(field) else None


def number(message: Message, field: str, pattern: str = "{:,.2f}") -> str:
    """An optional number as text; a dash when it is absent."""
    value = known(message, field)
    return "-" if value is None else pattern.format(value)


def heat(message: Message) -> Text:
    """Heat in its colour."""
    return Text(
        number(message, "heat_index", "{:.1f}"),
        style=band(known(message, "heat_index"), HEAT_BANDS),
    )


def travel(message: Message) -> Text:
    """Travel percent in its colour."""
    value = known(message, "travel_percent")
    style = band(None if value is None else max(0.0, -value), TRAVEL_BANDS)
    return Text(number(message, "travel_percent", "{:+.1f} %"), style=style)


def enum_name(message: Message, field: str) -> str:
    """Name of an enum value without its prefix: POSITION_STATUS_ACTIVE is ACTIVE."""
    kind = message.DESCRIPTOR.fields_by_name[field].enum_type
    if kind is None:
        raise TypeError(f"{field} is no enum")
    prefix = kind.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(kind.values_by_number[getattr(message, field)].name.removeprefix(prefix))


def ago(moment: datetime | None, now: datetime | None = None) -> Text:
    """Age of a time in its colour."""
    if moment is None:
        return Text("never", style="bright_black")
    span = (now or datetime.now(UTC)) - moment
    return Text(short(span), style=band(span.total_seconds(), AGE_BANDS))


def short(span: timedelta) -> str:
    """A span in its largest unit."""
    seconds = span.total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else f"{seconds * 1000:.0f} ms"


_LONG_HEAD = 12


def table(title: str, columns: Sequence[str]) -> Table:
    """An empty table; a column name that ends in `>` is set to the right."""
    made = Table(
        title=title, title_justify="left", header_style="bold", border_style="bright_black"
    )
    for name in columns:
        figure = name.endswith(">")
        head = name.removesuffix(">").rstrip()
        # A cut figure is a wrong one: words give way first, and its own head stands in lines.
        made.add_column(
            "\n".join(head_lines(head)) if figure else head,
            justify="right" if figure else "left",
            no_wrap=figure,
            overflow="fold",
        )
    return made


def head_lines(head: str) -> list[str]:
    """The lines in which the head of a column of figures stands."""
    return head.split(" ") if len(head) > _LONG_HEAD else [head]


def show_notices(found: Sequence[str]) -> None:
    """What to know before trusting the silence."""
    for notice in found:
        console.print(Text("! ", style="bold yellow").append(notice, style="yellow"))


def show_more(page: Message, *, for_scripts: bool = False) -> None:
    """Say that rows were left out, when this last page names a next one; beside what scripts read,
    not in it.
    """
    if getattr(page, "next_page_token", ""):
        (complaints if for_scripts else console).print(
            Text("There are more: --limit shows them.", style="yellow")
        )


def as_json(message: Message) -> Mapping[str, Any]:
    """A message with the names of its proto."""
    found: Mapping[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found


def print_json(value: Message | Mapping[str, Any] | Sequence[Any]) -> None:
    """One JSON document on standard output."""
    print(json.dumps(as_json(value) if isinstance(value, Message) else value, indent=2))


def command(
    work: Callable[P, Coroutine[Any, Any, int | None]], *, failed_code: int = 1
) -> Callable[P, None]:
    """Run an asynchronous command; a failure is one line with its reason, and `failed_code`."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = asyncio.run(work(*args, **kwargs))
            sys.stdout.flush()
        except SonicError as error:
            complaints.print(Text(f"{error.reason}: {error.message}", style="red"))
            for field, problem in error.fields.items():
                complaints.print(Text(f"  {field}: {problem}"))
            if error.reason == "PEER_UNAVAILABLE":
                complaints.print("  Is Sonic running? Start it with: sonic up")
            code = 2 if error.reason == BAD_SETTINGS else failed_code
        except ValidationError as error:
            for wrong in error.errors():
                name = ".".join(map(str, wrong["loc"])).upper()
                complaints.print(
                    Text(f"{name}: {wrong['msg']}. Correct it or unset it.", style="red")
                )
            code = 2
        except OSError as error:
            code = _unwritten(error, failed_code)
        except KeyboardInterrupt:
            code = 130
        raise typer.Exit(code or 0)

    return run


def _unwritten(error: OSError, failed_code: int) -> int:
    """The exit code of a command that the system refused something."""
    if isinstance(error, BrokenPipeError):
        # As any program whose reader left, `| head` for one: not the exit code of a failed cycle.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    said = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
    complaints.print(Text(said, style="red"))
    if error.filename:
        complaints.print("  State is kept in SONIC_HOME: set it to a folder you may write to.")
    return failed_code
