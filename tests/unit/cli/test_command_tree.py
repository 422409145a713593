"""Every RPC a person could want is a command; every command says what it does."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message_factory import GetMessageClass
from typer.main import get_command

from services.cli.assembly import assembled
from services.cli.nouns import NOUNS
from services.cli.schema.calls import method_of
from services.cli.schema.fields import at, put
from services.cli.schema.page import page
from services.cli.schema.verbs import Noun, Verb
from services.cli.terminal.app import STEPS
from services.cyclone.domain import steps
from services.gateway.surface import routes

ROOT = Path(__file__).resolve().parents[3]
VERBS = [(noun, verb) for noun in NOUNS for verb in noun.verbs]
# Commands written by hand.
BY_HAND = {
    "RunCycle": "sonic cycle",
    "ListEvents": "sonic logs",
    "GetReport": "sonic report",
    "CanISleep": "sonic sleep",
    "ListPositions": "sonic positions list",
    "GetPosition": "sonic positions show",
    "ImportPositions": "sonic positions import",
    "ListAlerts": "sonic alerts list",
    "CreateWallet": "sonic wallets add",
    "ListWallets": "sonic wallets list",
    "VerifyLedger": "sonic ledger verify",
    "RunBacktest": "sonic backtest",
    "Replay": "sonic replay",
    "GetTouchRecord": "sonic calibration",
    "GetScorecard": "sonic scorecard",
}
NO_SIDE_EFFECTS = MethodOptions.NO_SIDE_EFFECTS
DELETING = {"remove", "delete", "remove-all", "reset", "unlink", "delete-snapshot"}
# RPCs that are no command, with the reason.
NOT_FOR_PEOPLE = {
    "EnrichPositions": "a step of the cycle: sonic cycle --steps ENRICH_POSITIONS",
    "RecordSnapshot": "a step of the cycle",
    "CreateAlerts": "a step of the cycle",
    "EvaluateAlerts": "a step of the cycle",
    "ClearStaleAlerts": "a step of the cycle",
    "EnrichAlerts": "a half of a step",
    "ProcessAlerts": "a half of a step",
    "FlushOutbox": "a step of the cycle",
    "ReadColumns": "columns for services",
    "SetFrozenMarks": "monitor says what it found",
    "ReadMoves": "columns for services",
    "ReadMinutes": "columns for services",
    "RaiseDeath": "cyclone tells of a death",
    "ResolveDeath": "cyclone tells of its end",
    "Send": "services tell people by it",
    "SendBatch": "services tell people by it",
    "PressKey": "the telephone's provider asks it, by the gateway",
    "SendDocument": "cyclone sends results by it",
    "SendUnrecorded": "sonic up tells people by it while no database answers",
    "ReportDecision": "withdrawals tells alerts of its advice",
    "SettleIncident": "alerts tells xcom how an incident ended",
    "ImportPositionsStream": "the page's import with its progress",
    "PreviewLink": "the page behind a link of a message",
    "UseLink": "the page behind a link of a message",
}


@pytest.mark.parametrize(("noun", "verb"), VERBS, ids=lambda one: getattr(one, "name", ""))
def test_every_field_a_command_names_is_there(noun: Noun, verb: Verb) -> None:
    method = method_of(verb)
    request, answer = method.input_type, method.output_type
    for path in (*verb.arguments, *verb.options, *verb.fixed, *verb.renamed):
        assert at(request, path), (noun.name, verb.name, path)
    assert set(verb.renamed) <= {*verb.arguments, *verb.options}
    if verb.columns:
        rows = [one for one in answer.fields if one.is_repeated and one.message_type is not None]
        row = answer.fields_by_name[verb.rows] if verb.rows else rows[0]
        assert all(at(row.message_type, path) for path in verb.columns)
        assert verb.rows or len(rows) == 1, "say which of them"


def test_every_rpc_is_a_command_or_has_its_reason() -> None:
    reached = {verb.method.rpartition(".")[2] for _, verb in VERBS}
    methods = {route.method.name for route in routes()}
    assert methods - reached - set(BY_HAND) - set(NOT_FOR_PEOPLE) == set()
    assert not (reached | set(BY_HAND)) & set(NOT_FOR_PEOPLE)


def test_no_option_of_a_command_is_there_twice() -> None:
    for noun, verb in VERBS:
        words = [verb.renamed.get(path, path) for path in (*verb.arguments, *verb.options)]
        last = [word.rpartition(".")[2] for word in words]
        assert len(last) == len(set(last)), (noun.name, verb.name, last)


# Some hundred pages, on a machine that may be busy with the tests beside it.
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_command_has_help_and_what_deletes_asks(capsys: pytest.CaptureFixture[str]) -> None:
    for noun in NOUNS:
        # Once a noun: a runner makes every command anew for each call.
        commands = get_command(assembled(noun.name))
        for verb in noun.verbs:
            words = [noun.name, verb.name, "--help"]
            code = commands.main(words, prog_name="sonic", standalone_mode=False)
            said = capsys.readouterr().out
            assert code == 0 and verb.name in said, (noun.name, verb.name, said)
            assert verb.output or "--json" in said, (noun.name, verb.name)
            if verb.name in DELETING:
                assert "--yes" in said or "--confirm" in said, (noun.name, verb.name)


@pytest.mark.slow
def test_what_changes_by_options_or_a_file_has_an_example_that_can_be_read() -> None:
    for noun in NOUNS:
        group = get_command(assembled(noun.name)).commands[noun.name]  # type: ignore[attr-defined]
        for verb in noun.verbs:
            reads = method_of(verb).GetOptions().idempotency_level == NO_SIDE_EFFECTS
            asks = bool(verb.file or verb.body or (verb.options and not reads))
            assert verb.example or not asks, (noun.name, verb.name)
            if not verb.example:
                continue
            sonic, name, word, *rest = shlex.split(verb.example)
            assert (sonic, name, word) == ("sonic", noun.name, verb.name)
            given = group.commands[word].make_context(word, rest).params
            request = GetMessageClass(method_of(verb).input_type)()
            for path in (*verb.arguments, *verb.options):
                value = given[f"field_{path.replace('.', '_')}"]
                if value not in (None, []) and value != verb.every:
                    put(request, path, value)


def test_shells_can_complete_the_commands() -> None:
    tree = get_command(assembled())
    assert {"install_completion", "show_completion"} <= {one.name for one in tree.params}


def test_the_steps_to_choose_from_are_those_of_the_cycle() -> None:
    """No RPC lists them, and the console asks before there is a cycle that could."""
    assert STEPS == steps.NAMES


def test_the_page_of_commands_is_theirs() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == page()
