"""Assembles the `sonic` command."""

from __future__ import annotations

import typer

from services.cli import alerts, db, positions, wallet
from services.cli.cycle import cycle
from services.cli.doctor import doctor
from services.cli.status import status
from services.cli.up import up

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
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
