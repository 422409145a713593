"""`sonic up`: Postgres, migrations, every server, the gateway; until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from services.cli import certificates, database, keeper, privacy, system
from services.cli.alarm import Alarm
from services.cli.backup.schedule import Backups
from services.cli.backup.take import take_usual, words_of_missing
from services.cli.backup.upgrade import before_upgrade
from services.cli.complaints import Complaints
from services.cli.connection import connected
from services.cli.notices import gather, next_steps, notices
from services.cli.output import command, console, show_notices, unbroken
from services.cli.plan import (
    GATEWAY,
    Plan,
    running_file,
    taken_addresses,
    write_running,
)
from services.cli.room import Room, written_folders
from services.cli.steady import Steady
from services.cli.voice import Voice, entry
from shared import log
from shared.clock import Clock, SystemClock, until_next
from shared.errors import FailedPrecondition, SonicError
from shared.ports import Holder, hold, holder_of

_ROOM_SECONDS = 30.0
_COMPLAINTS_SECONDS = 10.0
_WAIT_SECONDS = 1.0
_UNKNOWN_LOOKS = 3
# Soon after a clock was put right: what it made before may be over, or not good yet.
_RENEWAL_SECONDS = 60.0


@command
async def up(
    one_process: Annotated[
        bool, typer.Option("--one-process", help="All servers in one process: for small machines.")
    ] = False,
    reload: Annotated[
        bool,
        typer.Option("--reload", help="Start servers whose code changed again: for work on Sonic."),
    ] = False,
) -> int:
    """Start the system and keep it running until Ctrl-C.

    Without a wallet it shows the DEMO. State is kept in SONIC_HOME (.sonic). Ports: SONIC_PORT_BASE
    + 1 to + 7, and SONIC_HTTP_PORT.
    """
    if reload and one_process:
        raise typer.BadParameter(
            "--reload starts processes again, and with --one-process there is one"
        )
    # A system outlives its terminal, and the disk its output is kept on.
    with unbroken():
        return await _up(one_process=one_process, reload=reload)


async def _up(*, one_process: bool, reload: bool) -> int:
    plan = Plan()
    say = Voice(plan.home)
    await _until_free(plan, say)
    # Before anything connects out: the default ports lie where outgoing connections take theirs.
    held = hold((*plan.addresses.values(), plan.http_address))
    privacy.make(plan.home)
    asked = _asked_to_stop()
    async with AsyncExitStack() as stack:
        for one in held:
            stack.callback(one.close)
        console.print(Text("Sonic", style="bold").append(" is waking up", style="not bold"))
        addresses = await _unless(
            asked, stack, _serving(plan, say, one_process=one_process, reload=reload)
        )
        if addresses is None:
            return 0
        try:
            write_running(plan.home, addresses, plan.http_address)
        except OSError as problem:
            # It serves all the same: a disk that is full is no reason to stop watching.
            say(entry("home", f"no note of where the servers are could be left: {problem}"))
        stack.callback(running_file(plan.home).unlink, missing_ok=True)
        dashboard = f"http://{plan.http_address}/"
        say(entry("dashboard", dashboard))
        with suppress(SonicError):
            await _advise(plan, addresses, dashboard)
        console.print("Ready. `sonic status` says how it stands; Ctrl-C stops.")
        await asked.wait()
        console.print("Draining ...")
    console.print("Stopped. Data stays in", str(plan.home))
    return 0


async def _advise(plan: Plan, addresses: Mapping[str, str], dashboard: str) -> None:
    """What to know, and what to do next."""
    async with connected(addresses, certificates.operators(plan.tls_folder)) as found:
        facts = await gather(found, {"positions", "xcom", "cyclone"})
    # Marks are as old as the last stop until the first cycle: not yet worth a word.
    del facts["totals"]
    show_notices(notices(facts))
    for number, step in enumerate(next_steps(facts, dashboard), 1):
        console.print(Text(entry(f"next, {number}", step)))


@asynccontextmanager
async def _serving(
    plan: Plan, say: Voice, *, one_process: bool, reload: bool
) -> AsyncIterator[dict[str, str]]:
    """The database and every server, while the block runs."""
    listens = plan.addresses | {GATEWAY: plan.http_address}
    async with AsyncExitStack() as stack:
        forks = None
        if not one_process:
            # Beside the database's start: it takes as long.
            forks = await stack.enter_async_context(system.forking(preload=not reload))
        making = asyncio.create_task(asyncio.to_thread(system.certify_or_say, plan, say))
        try:
            opened = await stack.enter_async_context(database.opened(plan))
        finally:
            await asyncio.wait({making})
        making.result()
        alarm = await stack.enter_async_context(kept(plan, opened, say))
        urls = await database.prepare(
            opened,
            plan.home,
            before=before_upgrade(plan, opened, say),
            leaves_newer=plan.sonic_allow_newer_schema,
            is_apart=True,
        )
        where = "DATABASE_URL" if opened.owned is None else "embedded"
        say(entry("postgres", f"{where}, schemas up to date"))
        if forks is None:
            log.configure("sonic", "WARNING", json=False)
            serving = system.in_one_process(
                plan, urls, say, listens=listens, tls=plan.tls_folder, alarm=alarm
            )
        else:
            serving = system.in_processes(plan, urls, say, forks, reload=reload, alarm=alarm)
        async with serving as addresses:
            yield addresses


@asynccontextmanager
async def kept(plan: Plan, opened: database.Opened, say: Voice) -> AsyncIterator[Alarm]:
    """The database looked after, and somebody told when that does not help, as by this alarm."""
    clock = SystemClock()
    own = partial(certificates.operators, plan.tls_folder)
    alarm = Alarm(lambda: plan.addresses["xcom"], say, clock, own)
    look = partial(keeper.look, opened.url, plan.health.interval_seconds)
    keeping = keeper.Keeper(look, opened.owned, say, alarm, clock, plan.health)
    room = Room(written_folders(plan.home), say, alarm)
    asking = system.HealthClient(own(), plan.addresses)
    complaints = Complaints(plan.addresses, asking.readiness, say)
    tasks = [
        *_saving(plan, opened, say, clock),
        Steady("keeper", keeping.run, say, clock),
        Steady("alarm", alarm.run, say, clock),
        Steady("room", partial(_looking, room, clock), say, clock),
        Steady("complaints", partial(_listening, complaints, clock), say, clock),
        Steady("certificates", partial(_renewing, plan, say, clock), say, clock),
    ]
    try:
        yield alarm
    finally:
        await asyncio.gather(*(task.stop() for task in tasks))
        await asking.close()


def _saving(plan: Plan, opened: database.Opened, say: Voice, clock: Clock) -> list[Steady]:
    """Of a database that is ours; another one's owner has backups of their own."""
    if opened.owned is None or plan.sonic_backup_hours <= 0:
        return []

    async def taken() -> Path:
        file, manifest = await take_usual(opened.url, plan)
        if words := words_of_missing(manifest):
            say(f"backup: {words}")
        return file

    hours, kept_count = plan.sonic_backup_hours, plan.sonic_backups_kept
    saving = Backups(taken, plan.backup_folder, say, clock, hours=hours, kept=kept_count)
    return [Steady("backup", saving.run, say, clock)]


async def _looking(room: Room, clock: Clock) -> None:
    while True:
        with suppress(OSError):
            room.look()
        await clock.sleep(_ROOM_SECONDS)


async def _renewing(plan: Plan, say: Voice, clock: Clock) -> None:
    """Servers and channels take new certificates by themselves, when they find them."""
    said = ""
    while True:
        await clock.sleep(_RENEWAL_SECONDS)
        try:
            made = await asyncio.to_thread(system.certify, plan)
        except Exception as problem:  # noqa: BLE001  # the next look may find it mended
            words = str(problem)
            if words != said:
                say(f"certificates cannot be renewed: {words}")
            said = words
        else:
            said = ""
            if made:
                say(f"certificates renewed: {', '.join(made)}")


async def _listening(complaints: Complaints, clock: Clock) -> None:
    while True:
        await clock.sleep(until_next(_COMPLAINTS_SECONDS, clock))
        # A certificate that cannot be read now is looked at again.
        with suppress(SonicError):
            await complaints.look()


async def _until_free(plan: Plan, say: Voice) -> None:
    """Refuse ports that somebody listens on; wait for those that an outgoing connection has by
    chance.

    Said at once what would otherwise be found by one dying server after the other.
    """
    said: set[str] = set()
    unknown_count = 0
    while taken := {address: holder_of(address) for address in taken_addresses(plan)}:
        # Nobody has it: let go between two looks, or this system does not tell.
        unknown_count = unknown_count + 1 if None in taken.values() else 0
        if unknown_count > _UNKNOWN_LOOKS or any(
            one and one.is_listening for one in taken.values()
        ):
            await _refuse(plan, taken)
        for address, holder in taken.items():
            if holder and address not in said:
                said.add(address)
                say(f"{address} is taken by {holder}; waiting until it is free")
        await asyncio.sleep(_WAIT_SECONDS)


async def _refuse(plan: Plan, taken: Mapping[str, Holder | None]) -> None:
    if running_file(plan.home).exists() and await system.runs(plan, "cyclone"):
        raise FailedPrecondition(
            "ALREADY_RUNNING", f"the system in {plan.home} is running; sonic status shows it"
        )
    listed = ", ".join(f"{address} by {holder or 'somebody'}" for address, holder in taken.items())
    raise FailedPrecondition(
        "PORTS_TAKEN", f"taken: {listed}; stop that, or set SONIC_PORT_BASE and SONIC_HTTP_PORT"
    )


async def _unless(
    asked: asyncio.Event, stack: AsyncExitStack, serving: system.Serving
) -> dict[str, str] | None:
    """Enter the system, or None when Ctrl-C came first."""
    starting = asyncio.create_task(stack.enter_async_context(serving))
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if starting.done():
        return starting.result()
    console.print("Stopping ...")
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    return None


def _asked_to_stop() -> asyncio.Event:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A terminal that closes is a wish to stop, unless nohup says it is none.
        if signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, asked.set)
    return asked
