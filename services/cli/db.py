"""`sonic db`: roles, schemas and migrations of a Postgres."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from services.cli import database
from services.cli.output import command, console, print_json
from services.cli.plan import SERVICES, Plan
from shared.database.migrations import check, draft, head
from shared.errors import SonicError
from shared.names import choose

app = typer.Typer(help="Roles, schemas and migrations.", no_args_is_help=True)


@app.command()
@command
async def init(
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    show_urls: Annotated[
        bool, typer.Option("--show-urls", help="Print each service's own URL with its password.")
    ] = False,
) -> None:
    """Make roles and schemas and bring every migration to its head; harmless when all is there.

    Works on DATABASE_URL (an administrator's), else on the embedded Postgres. The password of a
    service's role is set to the one in <SERVICE>_DATABASE_URL when that is given. Else a role that
    has none gets one made here and kept in SONIC_HOME/roles.json (see --show-urls); one that has is
    left as it is. Each URL comes from the environment or from a file of that name in
    SONIC_SECRETS_DIR.
    """
    plan = Plan()
    async with database.opened(plan) as opened:
        urls = await database.prepare(
            opened,
            plan.home,
            replace_given=True,
            leaves_newer=plan.sonic_allow_newer_schema,
        )
    heads = {service: head(database.migrations_folder(service)) for service in urls}
    if json:
        print_json({"migrated": heads} | ({"urls": urls} if show_urls else {}))
        return
    for service, revision in heads.items():
        console.print(f"{service:<11} at {revision}")
        if show_urls:
            print(f"{service.upper()}_DATABASE_URL={urls[service]}")


@app.command("check")
@command
async def check_schemas() -> int:
    """Compare every service's tables with its migrated schema. Exit code 1 when they differ."""
    plan = Plan()
    drifts = 0
    async with database.administrator_url(plan) as url:
        await database.bring_up_to_date(url, {})
        for service in SERVICES:
            try:
                await check(url, service, database.migrations_folder(service))
                console.print(f"{service:<11} tables and migrations agree")
            except SonicError as drift:
                drifts += 1
                console.print(
                    Text(drift.reason, style="red").append(f" {drift.message}", style="default")
                )
    return 1 if drifts else 0


@app.command("draft")
@command
async def draft_migration(
    service: Annotated[str, typer.Argument(help="Whose tables changed.")],
    message: Annotated[str, typer.Argument(help="What the migration does, in a few words.")],
) -> None:
    """Write the next migration from what tables.py has more than the schema; read and edit it."""
    plan = Plan()
    wanted = choose(service, SERVICES, field="service")
    async with database.administrator_url(plan) as url:
        await database.bring_up_to_date(url, {})
        file = await draft(url, wanted, database.migrations_folder(wanted), message)
    console.print(f"Wrote {file.name}; read it before you commit it")
