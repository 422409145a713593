"""`sonic console`: panes of everything that runs, by keyboard alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

from google.protobuf.message import Message
from rich.text import Text
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Label, Static, TabbedContent, TabPane

from services.cli.connection import System, connected
from services.cli.report import report_tables
from services.cli.schema.calls import call_of, filled, pages, rows_field
from services.cli.schema.render import cell, message_tables
from services.cli.schema.verbs import Verb
from services.cli.terminal.dialogs import CycleRun, Form, Question, Shown, Steps
from services.cli.terminal.overview import headline, overview
from services.cli.terminal.panes import PANES, Action, Pane
from shared.errors import SonicError
from shared.service_tokens import Identity

OVERVIEW = "Overview"
STEPS = (
    "UPDATE_PRICES",
    "SYNC_POSITIONS",
    "ENRICH_POSITIONS",
    "LINK_HEDGES",
    "CREATE_ALERTS",
    "EVALUATE_ALERTS",
    "CLEAR_STALE_ALERTS",
    "RECORD_SNAPSHOT",
    "ADVISE_WITHDRAWALS",
    "RUN_MONITORS",
    "NOTIFY",
)
_LOOK_SECONDS = 3.0
_AGAIN_SECONDS = 2.0
_ROWS = 500
_CYCLE_SECONDS = 300.0
_ACTION_KEYS = sorted({action.key for pane in PANES for action in pane.actions})


class Console(App[None]):
    """The console of a running system."""

    TITLE = "Sonic"
    # Not the hidden filter: keys are for the panes.
    AUTO_FOCUS = "Tabs"
    CSS = """
    #headline { height: 1; padding: 0 1; }
    #down { height: auto; max-height: 3; padding: 0 1; background: $error; color: $text; }
    #filter { display: none; height: 1; }
    TabPane { padding: 0; }
    DataTable { height: 1fr; }
    DataTable.stale { opacity: 60%; }
    .dialog { width: 60; max-width: 100%; height: auto; max-height: 90%; padding: 1 2;
        background: $surface; border: round $primary; align: center middle; }
    .wide { width: 90%; }
    .problem { color: $error; height: auto; }
    ModalScreen { align: center middle; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "cycle", "Cycle"),
        Binding("s", "steps", "Steps"),
        Binding("slash", "filter", "Filter"),
        Binding("question_mark", "keys", "Keys"),
        Binding("left", "go(-1)", "Left", show=False),
        Binding("right", "go(1)", "Right", show=False),
        Binding("q", "quit", "Quit"),
        *(Binding(key, f"act('{key}')", show=False) for key in _ACTION_KEYS),
    ]

    def __init__(
        self, addresses: Mapping[str, str] | None = None, identity: Identity | None = None
    ) -> None:
        super().__init__()
        self._addresses = addresses
        self._identity = identity
        self._stack = AsyncExitStack()
        self._rows: dict[str, list[Message]] = {}
        # By what was read: since when it fails, and why.
        self._down: dict[str, tuple[datetime, str]] = {}
        self._filter = ""
        self._looks = asyncio.Lock()

    def compose(self) -> ComposeResult:
        yield Label("...", id="headline")
        yield Label("", id="down")
        with TabbedContent(id="tabs"):
            with TabPane(OVERVIEW, id=OVERVIEW), VerticalScroll():
                yield Static("...", id="overview")
            for pane in PANES:
                with TabPane(pane.name, id=pane.name):
                    yield DataTable(cursor_type="row", zebra_stripes=True, id=f"rows-{pane.name}")
        yield Input(placeholder="rows with this text", id="filter", compact=True)
        yield Footer()

    async def on_mount(self) -> None:
        self.query_one("#down", Label).display = False
        for pane in PANES:
            made = self.query_one(f"#rows-{pane.name}", DataTable)
            for path in pane.lists.columns:
                made.add_column(path.rpartition(".")[2].replace("_", " "), key=path)
        self._system: System = await self._stack.enter_async_context(
            connected(self._addresses, self._identity)
        )
        self.set_interval(_LOOK_SECONDS, self.look)
        for pane in PANES:
            if pane.watches is not None:
                self.run_worker(self._watch(pane), group=pane.name)
        await self.look()

    async def on_unmount(self) -> None:
        await self._stack.aclose()

    @property
    def pane(self) -> Pane | None:
        """The one in front; None: the overview."""
        name = self.query_one("#tabs", TabbedContent).active
        return next((pane for pane in PANES if pane.name == name), None)

    async def on_tabbed_content_tab_activated(self) -> None:
        await self.look()

    async def look(self) -> None:
        """Read again what is in front."""
        # While it closes, answers still come and their places are gone.
        async with self._looks:
            with suppress(NoMatches):
                await self._told("headline", self._headline())
                pane = self.pane
                if pane is None:
                    await self._told(OVERVIEW, self._overview())
                else:
                    await self._told(pane.name, self._list(pane))
                self._show_down()

    async def _told(self, what: str, work: Awaitable[None]) -> None:
        """What a service refuses is a banner: the others live on."""
        try:
            await work
        except SonicError as error:
            self._down.setdefault(what, (datetime.now(UTC), f"{error.reason}: {error.message}"))
        else:
            self._down.pop(what, None)

    async def _headline(self) -> None:
        self.query_one("#headline", Label).update(await headline(self._system))

    async def _overview(self) -> None:
        self.query_one("#overview", Static).update(await overview(self._system))

    async def _list(self, pane: Pane) -> None:
        made = self.query_one(f"#rows-{pane.name}", DataTable)
        made.add_class("stale")
        call = await call_of(self._system, pane.lists)
        request = await filled(self._system, pane.lists, {})
        field = rows_field(pane.lists)
        limit = _ROWS if "page_size" in request.DESCRIPTOR.fields_by_name else None
        _, rows = await pages(call, request, field, limit)
        self._put(pane, made, rows)
        made.remove_class("stale")

    def _put(self, pane: Pane, made: DataTable[Text], rows: list[Message]) -> None:
        """The rows that the filter leaves, the cursor where it was."""
        cells = [[cell(row, path) for path in pane.lists.columns] for row in rows]
        kept = [
            (row, line)
            for row, line in zip(rows, cells, strict=True)
            if self._filter in " ".join(map(str, line)).lower()
        ]
        self._rows[pane.name] = [row for row, _ in kept]
        place, offset = made.cursor_row, made.scroll_offset
        made.clear()
        for _, line in kept:
            made.add_row(*line)
        made.move_cursor(row=min(place, max(0, len(kept) - 1)))
        made.scroll_to(offset.x, offset.y, animate=False)

    def _show_down(self) -> None:
        label = self.query_one("#down", Label)
        label.display = bool(self._down)
        label.update(
            Text("\n".join(f"since {at:%H:%M:%S} {words}" for at, words in self._down.values()))
        )

    async def _watch(self, pane: Pane) -> None:
        """What the service says by itself makes the pane read again, and so does its return."""
        if pane.watches is None:
            return
        while True:
            try:
                request = await filled(self._system, pane.watches, {})
                async for _ in (await call_of(self._system, pane.watches))(request):
                    if self.pane in (pane, None):
                        await self.look()
            except SonicError:
                await asyncio.sleep(_AGAIN_SECONDS)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: every pane, what any key does, and what the keys of this pane do."""
        yield from super().get_system_commands(screen)
        for name in (OVERVIEW, *(pane.name for pane in PANES)):
            yield SystemCommand(f"Go to {name}", "A pane", partial(self._open, name))
        yield SystemCommand("Run a cycle", "r", self.action_cycle)
        yield SystemCommand("Run steps of a cycle", "s", self.action_steps)
        yield SystemCommand("Filter the rows", "/", self.action_filter)
        for one in self.pane.actions if self.pane else ():
            yield SystemCommand(
                f"{one.words.capitalize()} this row", one.key, partial(self.action_act, one.key)
            )

    def _open(self, name: str) -> None:
        self.query_one("#tabs", TabbedContent).active = name

    def action_go(self, step: int) -> None:
        """To the pane beside."""
        tabs = self.query_one("#tabs", TabbedContent)
        order = [OVERVIEW, *(pane.name for pane in PANES)]
        tabs.active = order[(order.index(tabs.active) + step) % len(order)]

    def action_keys(self) -> None:
        """What the keys do here."""
        pane = self.pane
        own = [] if pane is None else [f"{one.key}  {one.words}" for one in pane.actions]
        common = "r  run a cycle|s  run steps|/  filter|enter  show|left, right  panes"
        common += "|ctrl+p  every command|q  quit"
        self.push_screen(Shown("Keys", Text("\n".join([*own, *common.split("|")]))))

    def action_filter(self) -> None:
        """Only rows with a text; an empty one shows all."""
        asked = self.query_one("#filter", Input)
        asked.display = True
        asked.focus()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        self._filter = event.value.strip().lower()
        event.input.display = False
        if self.pane is not None:
            self.query_one(f"#rows-{self.pane.name}", DataTable).focus()
        await self.look()

    async def action_cycle(self) -> None:
        """Run a whole cycle."""
        await self._run_cycle(())

    def action_steps(self) -> None:
        """Choose steps, and run them."""
        self.push_screen(Steps(STEPS), self._chosen)

    async def _chosen(self, steps: list[str] | None) -> None:
        if steps:
            await self._run_cycle(steps)

    async def _run_cycle(self, steps: list[str] | tuple[str, ...]) -> None:
        stub = await self._system.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
        request = cyclone_pb2.RunCycleRequest(steps=steps)
        self.push_screen(CycleRun(stub.RunCycle(request, timeout=_CYCLE_SECONDS)))

    async def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        pane, row = self.pane, self._row()
        if pane is None or row is None:
            return
        shown: Message = row
        if pane.shows is not None:
            try:
                path = pane.shows.arguments[0]
                given = {path: getattr(row, pane.id_field)}
                request = await filled(self._system, pane.shows, given)
                shown = await (await call_of(self._system, pane.shows))(request)
            except SonicError as error:
                self.notify(f"{error.reason}: {error.message}", severity="error")
                return
        self.push_screen(Shown(pane.name, message_tables(shown)))

    def action_act(self, key: str) -> None:
        """The key's action on the row under the cursor."""
        pane, row = self.pane, self._row()
        found = [one for one in pane.actions if one.key == key] if pane else []
        if row is None or not found:
            return
        action, id = found[0], str(getattr(row, found[0].id_field))
        if action.asks:
            title = f"{action.words} {id}"

            async def save(given: Mapping[str, str]) -> None:
                await self._act(action.verb, id, given)

            self.push_screen(Form(title, action.verb, save), self._after)
        elif action.verb.question:

            async def agreed(is_agreed: bool | None) -> None:
                if is_agreed:
                    await self._acted(action, id)

            self.push_screen(Question(f"{action.verb.question} ({id})"), agreed)
        else:
            self.run_worker(self._acted(action, id))

    async def _after(self, is_saved: bool | None) -> None:
        if is_saved:
            await self.look()

    async def _acted(self, action: Action, id: str) -> None:
        try:
            answer = await self._act(action.verb, id, {})
        except SonicError as error:
            self.notify(f"{error.reason}: {error.message}", severity="error")
        else:
            if action.reads and isinstance(answer, cyclone_pb2.Report):
                self.push_screen(Shown(f"{action.words} {id}", report_tables(answer)))
                return
            self.notify(f"{action.words}: {id}")
        await self.look()

    async def _act(self, verb: Verb, id: str, given: Mapping[str, str]) -> Message:
        request = await filled(self._system, verb, {verb.arguments[0]: id, **given})
        answer: Message = await (await call_of(self._system, verb))(request, timeout=verb.seconds)
        return answer

    def _row(self) -> Message | None:
        pane = self.pane
        if pane is None:
            return None
        rows = self._rows.get(pane.name, [])
        place = self.query_one(f"#rows-{pane.name}", DataTable).cursor_row
        return rows[place] if place < len(rows) else None
