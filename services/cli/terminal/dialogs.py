"""Screens above the panes: a question, a form, a message, a cycle that runs."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from sonic.cyclone.v1 import cyclone_pb2
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, SelectionList, Static

from services.cli.cycle import steps_table
from services.cli.schema.calls import method_of
from services.cli.schema.fields import at, names
from services.cli.schema.verbs import Verb
from shared.errors import SonicError

Save = Callable[[Mapping[str, str]], Awaitable[None]]


class Question(ModalScreen[bool]):
    """Yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes"),
        Binding("n,escape", "dismiss(False)", "No"),
    ]

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(Text(self._words))
            yield Label(Text("y: yes   n: no", style="bright_black"))


class Shown(ModalScreen[None]):
    """Something to read; Escape closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "Close")]

    def __init__(self, title: str, content: RenderableType) -> None:
        super().__init__()
        self._title = title
        self._content = content

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog wide"):
            yield Label(Text(self._title, style="bold"))
            yield Static(self._content)


class Form(ModalScreen[bool]):
    """The options of a verb, a line each; what is refused is said beside its field."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Close"),
        Binding("ctrl+s", "save", "Save"),
    ]

    def __init__(self, title: str, verb: Verb, save: Save) -> None:
        super().__init__()
        self._title = title
        self._verb = verb
        self._save = save
        self._is_saving = False

    def compose(self) -> ComposeResult:
        request = method_of(self._verb).input_type
        with VerticalScroll(classes="dialog wide"):
            yield Label(Text(self._title, style="bold"))
            for path in self._verb.options:
                word = self._verb.renamed.get(path, path.rpartition(".")[2])
                known = ", ".join(name.lower() for name in names(at(request, path)))
                yield Label(Text(word.replace("_", " ")))
                yield Input(placeholder=known, id=_id(path), compact=True)
                yield Label("", id=f"{_id(path)}-problem", classes="problem")
            yield Label("", id="problem", classes="problem")
            yield Label(Text("Enter or Ctrl-S: save   Escape: close", style="bright_black"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_save()

    def action_save(self) -> None:
        """Save what was written; stay open with the reason when it is refused."""
        # A second Enter is impatience, not another wish.
        if self._is_saving:
            return
        self._is_saving = True
        given = {path: self.query_one(f"#{_id(path)}", Input).value for path in self._verb.options}
        for label in self.query(".problem").results(Label):
            label.update("")
        self.query_one("#problem", Label).update("Saving ...")
        self.run_worker(self._saved({path: text for path, text in given.items() if text.strip()}))

    async def _saved(self, given: Mapping[str, str]) -> None:
        try:
            await self._save(given)
        except SonicError as error:
            self._complain(error)
        else:
            self.dismiss(True)
        finally:
            self._is_saving = False

    def _complain(self, error: SonicError) -> None:
        self.query_one("#problem", Label).update(Text(f"{error.reason}: {error.message}"))
        for field, problem in error.fields.items():
            for path in self._verb.options:
                if path.rpartition(".")[2] == field.rpartition(".")[2]:
                    self.query_one(f"#{_id(path)}-problem", Label).update(Text(problem))


class Steps(ModalScreen[list[str] | None]):
    """Which steps of a cycle to run."""

    AUTO_FOCUS = "SelectionList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("r", "run", "Run", priority=True),
    ]

    def __init__(self, steps: Sequence[str]) -> None:
        super().__init__()
        self._steps = steps

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide"):
            yield Label(Text("Steps to run; space ticks, r runs", style="bold"))
            yield SelectionList[str](*((step, step) for step in self._steps))

    def on_mount(self) -> None:
        self.query_one(SelectionList).highlighted = 0

    def action_run(self) -> None:
        """Run what is ticked, in the order of the cycle."""
        ticked = set(self.query_one(SelectionList).selected)
        self.dismiss([step for step in self._steps if step in ticked] or None)


class CycleRun(ModalScreen[None]):
    """A cycle while it runs: each step with its counts and milliseconds as they come."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss", "Close")]

    def __init__(self, answers: AsyncIterable[cyclone_pb2.RunCycleResponse]) -> None:
        super().__init__()
        self._answers = answers

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog wide"):
            yield Static("...", id="cycle")

    def on_mount(self) -> None:
        self.run_worker(self._follow(), exclusive=True)

    async def _follow(self) -> None:
        shown = self.query_one("#cycle", Static)
        try:
            async for progress in self._answers:
                cycle = progress.cycle
                shown.update(Group(steps_table(cycle), Text(_verdict(progress))))
        except SonicError as error:
            shown.update(Text(f"{error.reason}: {error.message}", style="red"))


def _verdict(progress: cyclone_pb2.RunCycleResponse) -> str:
    state = "Done" if progress.done else "Running"
    return f"{state}. {progress.cycle.message}  Escape closes."


def _id(path: str) -> str:
    return "field-" + path.replace(".", "-").replace("_", "-")
