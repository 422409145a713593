"""Assembles the `sonic` command."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import typer
from rich.text import Text

from services.cli import alerts, db, positions, wallet
from services.cli.cycle import cycle
from services.cli.doctor import doctor
from services.cli.output import complaints
from services.cli.status import status
from services.cli.up import up
from shared.secret_shapes import REASON, looks_secret
from shared.seed_phrases import is_phrase

app = typer.Typer(
    help="Watches leveraged positions so that the person holding them can sleep.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(cycle)
app.command()(status)
app.command()(doctor)
app.add_typer(wallet.app, name="wallet")
app.add_typer(positions.app, name="positions")
app.add_typer(alerts.app, name="alerts")
app.add_typer(db.app, name="db")


def main() -> None:
    """Entry point. Ends with code 1 before anything repeats, sends or keeps a key that was given to
    it.
    """
    if _holds_key(sys.argv[1:]):
        told = (
            f"{REASON}: this looks like a private key or a seed phrase; nothing was done with it."
        )
        complaints.print(Text(told, style="red"))
        complaints.print(
            "  Only public addresses are wanted. Your shell may remember the line: take it out"
            " there."
        )
        raise SystemExit(1)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a sign gets its number: no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()


def _holds_key(words: Sequence[str]) -> bool:
    # A phrase without quotes is one word after another.
    return any(map(looks_secret, words)) or is_phrase(" ".join(words))


if __name__ == "__main__":
    main()
