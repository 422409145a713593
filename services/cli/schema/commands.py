"""Verbs as commands of typer: options read from the schema, with its comments as their help."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.message import Message
from rich.text import Text

from services.cli.connection import connected
from services.cli.output import as_json, command, complaints, console, print_json, show_more
from services.cli.schema.calls import call_of, filled, method_of, pages, rows_field, rows_of
from services.cli.schema.fields import Field, at, names, python_type
from services.cli.schema.render import plain_columns, rows_table, show_message, show_rows
from services.cli.schema.verbs import Noun, Verb
from services.cli.schema_of_tests import in_test_schema
from shared.errors import FailedPrecondition, InvalidArgument
from shared.rpc.comments import packaged

_PAGE = 500
_DEFAULT_ROWS = 100
_MASK = "update_mask"
_ALL = "all"


def add_verbs(app: typer.Typer, noun: Noun) -> None:
    """The verbs of a noun, beside those that are there."""
    for verb in noun.verbs:
        made = command(_work(noun, verb))
        app.command(verb.name, help=_help(verb), short_help=_summary(verb))(made)


def _work(noun: Noun, verb: Verb) -> Callable[..., Any]:
    """The command's function: typer reads its options from the signature that is put on it."""
    parameters = list(_parameters(verb))
    if noun.test:
        words = "In the schema of tests alone, reads and writes; the running system is left alone."
        parameters.append(_made("test", bool, typer.Option("--test", help=words), False))
    paths = dict(_named(verb))

    async def work(**given: Any) -> int | None:
        return await _run(noun, verb, {name: given.pop(name) for name in paths}, paths, given)

    work.__name__ = verb.name.replace("-", "_")
    work.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    work.__annotations__ = {one.name: one.annotation for one in parameters}
    return work


def _named(verb: Verb) -> Iterator[tuple[str, str]]:
    for path in (*verb.arguments, *verb.options):
        yield _name(path), path


def _name(path: str) -> str:
    """Of the parameter: unlike those every command has, and no word of Python."""
    return f"field_{path.replace('.', '_')}"


def _word(verb: Verb, path: str) -> str:
    """What a person writes."""
    return verb.renamed.get(path, path.rpartition(".")[2]).replace("_", "-")


def _parameters(verb: Verb) -> Iterator[inspect.Parameter]:
    request = method_of(verb).input_type
    for path in verb.arguments:
        field = at(request, path)
        metavar = _word(verb, path).upper()
        argument = typer.Argument(help=_field_help(field), metavar=metavar)
        yield _made(_name(path), python_type(field), argument, ...)
    if verb.file or verb.body:
        words = f"The file{', JSON' if verb.body else ''}; - reads standard input."
        argument = typer.Argument(help=words)
        yield _made("file", Path, argument, ...)
    for path in verb.options:
        field = at(request, path)
        kind = python_type(field)
        name = _word(verb, path)
        flag = f"--{name}/--no-{name}" if kind is bool else f"--{name}"
        option = typer.Option(flag, help=_field_help(field))
        yield _made(_name(path), kind, option, None)
    if rows_field(verb) is not None and "page_size" in request.fields_by_name:
        yield _made("limit", int, typer.Option(min=1, help="Rows at the most."), _DEFAULT_ROWS)
    if verb.output:
        yield _made("output", Path, typer.Option(help="File to write; else standard output."), None)
    if verb.question:
        yield _made("yes", bool, typer.Option("--yes", help="Do not ask."), False)
    if verb.word:
        words = f"The word {verb.word}, so that nothing is asked."
        yield _made("confirm", str, typer.Option(help=words), None)
    if not verb.output:
        yield _made("json", bool, typer.Option("--json", help="Print as JSON."), False)


def _made(name: str, kind: type, info: Any, default: Any) -> inspect.Parameter:
    wanted = kind if default is not None else kind | None
    annotation = Annotated[wanted, info]  # type: ignore[valid-type]  # made while it runs
    if default is ...:
        default = inspect.Parameter.empty
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _field_help(field: Field) -> str:
    said = " ".join(_comments().get(field.full_name, "").split())
    known = ", ".join(name.lower() for name in names(field))
    return f"{said} One of {known}." if known else said


def _summary(verb: Verb) -> str:
    if verb.help:
        return verb.help
    said = " ".join(_comments().get(method_of(verb).full_name, "").split())
    return said.partition(" Fails with ")[0].partition(". ")[0].rstrip(".") + "."


def _help(verb: Verb) -> str:
    said = verb.help or " ".join(_comments().get(method_of(verb).full_name, "").split())
    every = f" {_ALL}: as {verb.every}." if verb.every else ""
    codes = f" Exit code 1 when {verb.failed_when}." if verb.failed else ""
    example = f"\n\nExample: {verb.example}" if verb.example else ""
    return said.partition(" Fails with ")[0] + every + codes + example


@cache
def _comments() -> Mapping[str, str]:
    return packaged()


async def _run(
    noun: Noun,
    verb: Verb,
    values: Mapping[str, Any],
    paths: Mapping[str, str],
    other: dict[str, Any],
) -> int:
    given = {paths[name]: value for name, value in values.items() if value not in (None, [])}
    if verb.every and given[verb.arguments[0]] == _ALL:
        verb = _of_all(noun, verb, paths, given)
        given = {}
    given |= _agreed(verb, other)
    file = other.get("file")
    content = None if file is None else await asyncio.to_thread(_read, file)
    async with in_test_schema() if other.get("test") else connected() as system:
        request = await filled(system, verb, given, content)
        call = await call_of(system, verb)
        if method_of(verb).server_streaming:
            return await _stream(noun, verb, call(request), other)
        field = rows_field(verb)
        if field is not None:
            answer, rows = await pages(call, request, field, other.get("limit"), verb.seconds)
            return _show_rows(noun, verb, answer, rows, as_list=other["json"])
        answer = await call(request, timeout=verb.seconds)
    return _show(noun, verb, answer, other)


def _of_all(noun: Noun, verb: Verb, paths: Mapping[str, str], given: Mapping[str, Any]) -> Verb:
    """The verb that runs instead; it takes none of the options of this one."""
    if said := [path for path in paths.values() if path in given and path in verb.options]:
        problems = {_word(verb, path): f"is of one, not of {_ALL}" for path in said}
        raise InvalidArgument("INVALID_FIELD", f"{_ALL} takes no options", fields=problems)
    return next(one for one in noun.verbs if one.name == verb.every)


def _agreed(verb: Verb, other: Mapping[str, Any]) -> Mapping[str, str]:
    """Nothing is lost without a word: the question answered, the word typed."""
    if verb.question and not other["yes"]:
        _ask_at_terminal("--yes")
        typer.confirm(verb.question, abort=True)
    if not verb.word:
        return {}
    typed = other["confirm"]
    if typed is None:
        _ask_at_terminal(f"--confirm {verb.word}")
        typed = typer.prompt(f"{_summary(verb)} Type {verb.word!r} to go on")
    return {"confirm": typed}


def _ask_at_terminal(option: str) -> None:
    if not sys.stdin.isatty():
        raise FailedPrecondition(
            "NOT_CONFIRMED", f"nobody is here to be asked; say {option} to go on"
        )


def _show_rows(
    noun: Noun, verb: Verb, answer: Message, rows: Sequence[Message], *, as_list: bool
) -> int:
    if as_list:
        print_json([dict(as_json(row)) for row in rows])
    elif verb.line:
        for row in rows:
            # Whole, however narrow the terminal: scripts read it.
            console.print(Text(getattr(row, verb.line)), soft_wrap=True)
    else:
        show_rows(_title(noun, verb), rows, verb.columns)
    show_more(answer, for_scripts=as_list or bool(verb.line))
    if verb.rest and (rest := list(getattr(answer, verb.rest))):
        complaints.print(rows_table(verb.rest, rest, plain_columns(rest[0].DESCRIPTOR.fields)))
    if not rows and verb.empty:
        complaints.print(Text(verb.empty, style="yellow"))
    return _code(verb, answer)


def _show(noun: Noun, verb: Verb, answer: Message, other: Mapping[str, Any]) -> int:
    if verb.output:
        _write(getattr(answer, verb.output), other["output"])
    elif other["json"]:
        print_json(answer)
    else:
        show_message(answer, _title(noun, verb))
        if not answer.ByteSize():
            console.print(Text("Done.", style="green"))
    return _code(verb, answer)


def _code(verb: Verb, answer: Message) -> int:
    return 1 if verb.failed is not None and verb.failed(answer) else 0


async def _stream(
    noun: Noun, verb: Verb, answers: AsyncIterator[Message], other: Mapping[str, Any]
) -> int:
    """Message by message until it ends or Ctrl-C."""
    last: Message | None = None
    if verb.output:
        target = other["output"]
        if target is not None:
            target.write_bytes(b"")
        async for answer in answers:
            _write(getattr(answer, verb.output), target, more=True)
        return 0
    async for answer in answers:
        last = answer
        if other["json"]:
            print_json(answer)
        elif verb.columns:
            field = rows_of(answer.DESCRIPTOR, verb.rows)
            if rows := list(getattr(answer, field.name)):
                show_rows(_title(noun, verb), rows, verb.columns)
        else:
            plain = plain_columns(answer.DESCRIPTOR.fields)
            show_rows(_title(noun, verb), [answer], plain)
    return 0 if last is None else _code(verb, last)


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise InvalidArgument("BAD_FILE", f"{file}: {error.strerror}") from error


def _write(content: str | bytes, target: Path | None, *, more: bool = False) -> None:
    raw = content.encode() if isinstance(content, str) else content
    if target is None:
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()
        return
    with target.open("ab" if more else "wb") as file:
        file.write(raw)


def _title(noun: Noun, verb: Verb) -> str:
    return f"{noun.name} {verb.name}".capitalize()
