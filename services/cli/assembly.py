"""Assembles the `sonic` command from all others."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import typer
from rich.text import Text

from services.cli import alerts, db, ledger, positions, token, wallet, withdrawals
from services.cli.backtest.command import backtest
from services.cli.backup.command import backup, restore
from services.cli.calibration.command import calibration
from services.cli.cycle import cycle
from services.cli.dashboard import dashboard
from services.cli.doctor import doctor
from services.cli.logs import logs
from services.cli.nouns import NOUNS
from services.cli.output import complaints
from services.cli.replay import replay
from services.cli.report import app as reports
from services.cli.report import report
from services.cli.schema import commands
from services.cli.scorecard import scorecard
from services.cli.sleep import sleep
from services.cli.status import status
from services.cli.terminal.command import console
from services.cli.up import up
from shared.secret_shapes import REASON, looks_secret
from shared.seed_phrases import is_phrase

# Nouns with commands written by hand, too; `wallet` is the older name of wallets.
_BY_HAND = {
    "positions": positions.app,
    "wallets": wallet.app,
    "alerts": alerts.app,
    "ledger": ledger.app,
    "withdrawals": withdrawals.app,
    "cycles": reports,
}


def assembled(wanted: str | None = None) -> typer.Typer:
    """Every command; with a noun, of the other nouns only their names: their options are not read
    from the schema.
    """
    app = typer.Typer(
        help="Watches leveraged positions so that the person holding them can sleep.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    # The first command of a panel decides its place.
    app.command(rich_help_panel="Look")(status)
    app.command(rich_help_panel="Look")(sleep)
    app.command(rich_help_panel="Look")(logs)
    app.command(rich_help_panel="Look")(calibration)
    app.command(rich_help_panel="Look")(backtest)
    app.command(rich_help_panel="Look")(replay)
    app.command(rich_help_panel="Look")(scorecard)
    app.command(rich_help_panel="Look")(report)
    app.command(rich_help_panel="Act")(cycle)
    for made in (up, doctor, dashboard, console, backup, restore):
        app.command(rich_help_panel="Run")(made)
    app.add_typer(db.app, name="db", rich_help_panel="Run")
    app.add_typer(token.app, name="token", rich_help_panel="Run")
    for noun in NOUNS:
        group = typer.Typer(no_args_is_help=True)
        if by_hand := _BY_HAND.get(noun.name):
            group.registered_commands.extend(by_hand.registered_commands)
        aliases = {noun.name, "wallet"} if noun.name == "wallets" else {noun.name}
        if wanted is None or wanted in aliases:
            commands.add_verbs(group, noun)
        else:
            group.command("...", hidden=True)(lambda: None)
        for name in sorted(aliases):
            hidden = name != noun.name
            app.add_typer(
                group, name=name, help=noun.help, rich_help_panel=noun.panel, hidden=hidden
            )
    return app


def obey() -> None:
    """Do what the command's words say. Ends with code 1 before anything repeats, sends or keeps a
    key that was given to it.
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
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    assembled(asked)()


def _holds_key(words: Sequence[str]) -> bool:
    # A phrase without quotes is one word after another.
    return any(map(looks_secret, words)) or is_phrase(" ".join(words))
