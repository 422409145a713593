"""`sonic token`: who may ask the gateway. Works on the file of the tokens, on Sonic's machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from services.cli import privacy
from services.cli.database import given
from services.cli.output import ago, command, console, print_json, table
from services.cli.plan import Plan
from services.cli.schema.fields import span
from shared import tokens
from shared.errors import invalid
from shared.names import choose
from shared.tokens import Scope, Token

app = typer.Typer(
    help="Tokens of people and scripts for the gateway: HTTP and the dashboard.",
    no_args_is_help=True,
)
_SCOPES = tuple(scope.name.lower() for scope in Scope)


@app.command()
@command
async def create(
    name: Annotated[str, typer.Argument(help="Whose it is: a person or a script.")],
    scope: Annotated[
        str,
        typer.Option(
            help="read: look at everything. operate: and what a person does from day to day. admin:"
            " and clear data, say who is told."
        ),
    ] = "operate",
    expires: Annotated[
        str, typer.Option(help="How long it holds: 90d, 12h; without it until it is revoked.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Make a token and show it once. From the first one on the gateway asks everybody who they are.

    Example: sonic token create phone --scope operate --expires 90d
    """
    file, now = tokens_file(), datetime.now(UTC)
    if file.parent == Plan().home:
        privacy.make(file.parent)
    wanted = Scope[choose(scope.lower(), _SCOPES, field="scope").upper()]
    is_first = not tokens.read(file)
    token, text = tokens.create(file, name, wanted, now, now + _span(expires) if expires else None)
    if json:
        print_json(_as_json(token, now) | {"token": text})
        return
    print(text)
    until = f"until {token.expires_time:%Y-%m-%d %H:%M} UTC" if token.expires_time else "no end"
    console.print(f"{name}: scope {wanted.name.lower()}, {until}. It is not shown again.")
    if is_first:
        console.print("From now on the gateway asks everybody: sign in at /sign-in, or")
        console.print('curl -H "Authorization: Bearer $TOKEN" ...', style="bright_black")


@app.command("list")
@command
async def list_tokens(
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Every token there is or was, without its secret."""
    found, now = tokens.read(tokens_file()), datetime.now(UTC)
    if json:
        print_json({"tokens": [_as_json(token, now) for token in found]})
        return
    if not found:
        console.print("No token: on 127.0.0.1 the gateway asks nobody who they are")
        return
    shown = table("Tokens", ("name", "id", "scope", "made", "expires", "state"))
    for token in found:
        end = f"{token.expires_time:%Y-%m-%d %H:%M}" if token.expires_time else "-"
        state = _state(token, now)
        style = "green" if state == "VALID" else "bright_black"
        made = ago(token.created_time, now)
        shown.add_row(
            token.name, token.id, token.scope.name.lower(), made, end, Text(state, style=style)
        )
    console.print(shown)


@app.command()
@command
async def revoke(
    name: Annotated[str, typer.Argument(help="Its name or its id.")],
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """End a token within a second: who is signed in with it, is not any more.

    Example: sonic token revoke phone
    """
    now = datetime.now(UTC)
    gone = tokens.revoke(tokens_file(), name, now)
    if json:
        print_json(_as_json(gone, now))
        return
    console.print(f"{gone.name} ({gone.id}) is revoked")
    if not any(token.is_valid(now) for token in tokens.read(tokens_file())):
        console.print(
            "No token is left: nobody can sign in. Make one, or remove "
            f"{tokens_file()}: then nobody is asked on 127.0.0.1",
            style="yellow",
        )


def tokens_file() -> Path:
    """TOKENS_FILE, else tokens.json in SONIC_HOME: as the gateway finds it."""
    named = given("TOKENS_FILE")
    return Path(named).expanduser() if named else Plan().home / tokens.FILE_NAME


def _span(text: str) -> timedelta:
    try:
        found = span(text)
    except ValueError as error:
        raise invalid("expires", "no span; write 90d, 12h or 1d12h") from error
    if found <= timedelta(0):
        raise invalid("expires", "must be longer than nothing")
    return found


def _state(token: Token, now: datetime) -> str:
    if token.revoked_time is not None:
        return "REVOKED"
    return "VALID" if token.is_valid(now) else "EXPIRED"


def _as_json(token: Token, now: datetime) -> dict[str, Any]:
    times = {
        "created_time": token.created_time,
        "expires_time": token.expires_time,
        "revoked_time": token.revoked_time,
    }
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope.name,
        "state": _state(token, now),
    } | {name: time.isoformat() for name, time in times.items() if time is not None}
