"""`sonic console`: panes of everything that runs, by keyboard alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, TypeVar

from google.protobuf.message import Message
from rich.console import RenderableType
from rich.text import Text
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Label, Static, TabbedContent, TabPane

from services.cli.connection import System, connected
from services.cli.report import report_tables
from services.cli.schema.calls import call_of, filled, pages, rows_field
from services.cli.schema.render import cell, message_tables
from services.cli.schema.verbs import Verb
from services.cli.terminal.dialogs import CycleRun, Form, Question, Shown, Steps
from services.cli.terminal.overview import PARTS
from services.cli.terminal.panes import PANES, Action, Pane
from services.cli.terminal.reads import Reads
from services.cli.terminal.rows import Rows
from services.cli.worst import headline
from shared.errors import SonicError
from shared.service_tokens import Identity

T = TypeVar("T")
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
# Between two looks that a stream asks for.
_NEWS_SECONDS = 0.2
_ROWS = 500
_CYCLE_SECONDS = 300.0
_HEADLINE = "headline"
_PANES = {pane.name: pane for pane in PANES}
_ACTION_KEYS = sorted({action.key for pane in PANES for action in pane.actions})


class Console(App[None]):
    """The console of a running system."""

    TITLE = "Sonic"
    # Not the hidden filter: keys are for the panes.
    AUTO_FOCUS = "Tabs"
    CSS = """
    #headline { height: auto; max-height: 2; padding: 0 1; }
    #down { height: auto; max-height: 3; padding: 0 1; background: $error; color: $text; }
    #filter { display: none; height: 1; }
    .part { height: auto; }
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
        # By what was read: since when it fails, and why.
        self._down: dict[str, tuple[datetime, str]] = {}
        self._filter = ""
        self._reads = Reads(self.run_worker)

    def compose(self) -> ComposeResult:
        yield Label("...", id="headline")
        yield Label("", id="down")
        with TabbedContent(id="tabs"):
            with TabPane(OVERVIEW, id=OVERVIEW), VerticalScroll():
                for name in PARTS:
                    yield Static("...", id=name, classes="part")
            for pane in PANES:
                with TabPane(pane.name, id=pane.name):
                    yield Rows(pane.known_by, f"rows-{pane.name}")
        yield Input(placeholder="rows with this text", id="filter", compact=True)
        yield Footer()

    async def on_mount(self) -> None:
        self.query_one("#down", Label).display = False
        for pane in PANES:
            made = self._rows(pane)
            for path in pane.lists.columns:
                made.add_column(path.rpartition(".")[2].replace("_", " "), key=path)
        self._system: System = await self._stack.enter_async_context(
            connected(self._addresses, self._identity)
        )
        self.set_interval(_LOOK_SECONDS, self.look)
        for pane in PANES:
            if pane.watches is not None:
                self.run_worker(self._watch(pane), group=pane.name)
        self.look()

    async def on_unmount(self) -> None:
        # Calls end before their channels do.
        self.workers.cancel_all()
        await self._stack.aclose()

    @property
    def pane(self) -> Pane | None:
        """The one in front; None: the overview."""
        name = self.query_one("#tabs", TabbedContent).active
        return next((pane for pane in PANES if pane.name == name), None)

    def on_tabbed_content_tab_activated(self) -> None:
        self.look()

    def look(self) -> None:
        """Ask for what is in front anew: it is shown when it comes, and no key waits for it."""
        # Answers, timers and streams come also while the panes are being taken down.
        if not self.is_running:
            return
        front = tuple(PARTS) if self.pane is None else (self.pane.name,)
        # What failed is asked for until it answers, also when it is not in front any more.
        for name in dict.fromkeys((_HEADLINE, *front, *self._down)):
            if name in _PANES:
                self._reads.ask(name, partial(self._list, _PANES[name]))
            else:
                part = PARTS.get(name, headline)
                self._ask(name, partial(part, self._system), f"#{name}")

    def _ask(self, what: str, ask: Callable[[], Awaitable[RenderableType]], place: str) -> None:
        def show(answer: RenderableType) -> None:
            self.query_one(place, Static).update(answer)

        self._reads.ask(what, lambda: self._read(what, ask, show))

    async def _list(self, pane: Pane) -> None:
        if not self.is_running:
            return
        made = self._rows(pane)
        made.add_class("stale")

        def show(answer: tuple[Message, list[Message]]) -> None:
            page, rows = answer
            self._put(pane, made, rows)
            more = f" ({len(rows)}, more)" if getattr(page, "next_page_token", "") else ""
            tabs = self.query_one("#tabs", TabbedContent)
            tabs.get_tab(pane.name).label = f"{pane.name}{more}"
            made.remove_class("stale")

        await self._read(pane.name, partial(self._rows_of, pane), show)

    async def _rows_of(self, pane: Pane) -> tuple[Message, list[Message]]:
        call = await call_of(self._system, pane.lists)
        request = await filled(self._system, pane.lists, {})
        field = rows_field(pane.lists)
        limit = _ROWS if "page_size" in request.DESCRIPTOR.fields_by_name else None
        return await pages(call, request, field, limit)

    async def _read(
        self, what: str, ask: Callable[[], Awaitable[T]], show: Callable[[T], None]
    ) -> None:
        """What a service refuses is a banner: the others live on."""
        try:
            answer = await ask()
        except SonicError as error:
            words = f"{error.reason}: {error.message}"
            self._down.setdefault(what, (datetime.now(UTC), words))
        else:
            self._down.pop(what, None)
            if self.is_running:
                show(answer)
        if self.is_running:
            self._show_down()

    def _put(self, pane: Pane, made: Rows, rows: list[Message]) -> None:
        """The rows that the filter leaves."""
        cells = [[cell(row, path) for path in pane.lists.columns] for row in rows]
        made.put(
            [
                (row, line)
                for row, line in zip(rows, cells, strict=True)
                if self._filter in " ".join(map(str, line)).lower()
            ]
        )

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
                    if self.is_running and self.pane in (pane, None):
                        self.look()
                        # What comes meanwhile is in the next look: a stream may speak faster than
                        # anybody reads, and keys want their turn.
                        await asyncio.sleep(_NEWS_SECONDS)
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

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._filter = event.value.strip().lower()
        event.input.display = False
        if self.pane is not None:
            self._rows(self.pane).focus()
        self.look()

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

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        pane, row = self.pane, self._row()
        if pane is None or row is None:
            return
        if pane.shows is None:
            self.push_screen(Shown(pane.name, message_tables(row)))
        else:
            self.run_worker(self._show(pane, pane.shows, row), group="show", exclusive=True)

    async def _show(self, pane: Pane, verb: Verb, row: Message) -> None:
        try:
            request = await filled(
                self._system, verb, {verb.arguments[0]: getattr(row, pane.id_field)}
            )
            shown = await (await call_of(self._system, verb))(request)
        except SonicError as error:
            self.notify(f"{error.reason}: {error.message}", severity="error")
            return
        if self._may_show() and self.pane == pane:
            self.push_screen(Shown(pane.name, message_tables(shown)))

    def action_act(self, key: str) -> None:
        """The key's action on the row under the cursor."""
        pane, row = self.pane, self._row()
        found = [one for one in pane.actions if one.key == key] if pane else []
        if not found:
            return
        if row is None:
            self.notify(f"{found[0].words}: the cursor is on no row; move it to one")
            return
        action, id = found[0], str(getattr(row, found[0].id_field))
        if action.asks:
            title = f"{action.words} {id}"

            async def save(given: Mapping[str, str]) -> None:
                await self._act(action.verb, id, given)

            self.push_screen(Form(title, action.verb, save), self._after)
        elif action.verb.question:

            def agreed(is_agreed: bool | None) -> None:
                if is_agreed:
                    self.run_worker(self._acted(action, id))

            self.push_screen(Question(f"{action.verb.question} ({id})"), agreed)
        else:
            self.run_worker(self._acted(action, id))

    def _after(self, is_saved: bool | None) -> None:
        if is_saved:
            self.look()

    async def _acted(self, action: Action, id: str) -> None:
        try:
            answer = await self._act(action.verb, id, {})
        except SonicError as error:
            self.notify(f"{error.reason}: {error.message}", severity="error")
            self.look()
            return
        if not (action.reads and isinstance(answer, cyclone_pb2.Report)):
            self.notify(f"{action.words}: {id}")
            self.look()
        elif self._may_show():
            self.push_screen(Shown(f"{action.words} {id}", report_tables(answer)))

    def _may_show(self) -> bool:
        """Whether an answer may come up by itself: whoever opened something is not interrupted."""
        return self.is_running and len(self.screen_stack) == 1

    async def _act(self, verb: Verb, id: str, given: Mapping[str, str]) -> Message:
        request = await filled(self._system, verb, {verb.arguments[0]: id, **given})
        answer: Message = await (await call_of(self._system, verb))(request, timeout=verb.seconds)
        return answer

    def _row(self) -> Message | None:
        return None if self.pane is None else self._rows(self.pane).row_under_cursor

    def _rows(self, pane: Pane) -> Rows:
        return self.query_one(f"#rows-{pane.name}", Rows)
