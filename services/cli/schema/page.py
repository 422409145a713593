"""The page of all commands, for people: `python -m services.cli.schema.page` prints it."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from services.cli.assembly import assembled

_HEAD = """# Commands

Made from the commands themselves: `sonic COMMAND --help` says the same, with every option.
Everything that prints takes `--json`; what deletes asks first, or takes `--yes`;
those of withdrawals take `--test`. Exit code 0: done; 1: it failed, and one line says why;
2: settings or a part of it; 130: Ctrl-C.
Spans are `90s`, `15min`, `1h30m`, `2d`; times `2026-11-29T14:00Z`, `2h ago`, `now`.
"""


def page() -> str:
    """Markdown, a table a noun."""
    tree = typer.main.get_command(assembled())
    commands = dict(getattr(tree, "commands", {}))
    plain = [(name, one) for name, one in commands.items() if not hasattr(one, "commands")]
    parts = [_HEAD, "\n".join(_table(plain, ""))]
    for name, group in commands.items():
        if hasattr(group, "commands") and not group.hidden:
            parts.append(f"## {name}\n\n{group.help}\n")
            parts.append("\n".join(_table(list(group.commands.items()), f"{name} ")))
    return "\n".join(parts) + "\n"


def _table(commands: list[tuple[str, object]], prefix: str) -> Iterator[str]:
    yield "| command | what | options |"
    yield "|---|---|---|"
    for name, one in commands:
        parameters = getattr(one, "params", [])
        places = "".join(
            f" {one.metavar or one.name.upper()}"
            for one in parameters
            if one.param_type_name == "argument"
        )
        options = ", ".join(
            f"`{one.opts[0]}`"
            for one in parameters
            if one.param_type_name == "option" and one.name not in ("json", "yes", "test")
        )
        said = " ".join((getattr(one, "help", "") or "").split()).replace("|", "\\|")
        words, _, example = said.partition(" Example: ")
        example = f" `{example}`" if example else ""
        yield f"| `sonic {prefix}{name}{places}` | {words}{example} | {options} |"


if __name__ == "__main__":
    print(page(), end="")
