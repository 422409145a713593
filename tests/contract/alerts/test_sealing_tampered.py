"""Sealed files and their seals after somebody was there: each edit, swap, loss and cut is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from services.alerts.ledger.service.reading import judge
from shared.errors import FailedPrecondition
from tests.contract.alerts import sealing
from tests.contract.alerts.conftest import Servers
from tests.contract.alerts.sealing import (
    as_owner,
    content,
    files,
    past,
    rewrite,
    sealed,
    start,
    verified,
)


@pytest.fixture
async def sealed_system(not_started: Servers) -> Servers:
    """Three files of a ledger, eight to ten rows each, and what is left of it."""
    await not_started.start_positions()
    await past(not_started, 41, days=40.0)
    await start(not_started)
    for days in (31.5, 22.5, 13.5):
        assert len((await sealed(not_started, timedelta(days=days))).segments) == 1
    found = await verified(not_started)
    assert found.intact and found.checked_file_count == 3, found.problem
    return not_started


def _edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[3].replace(b'"RAISED"', b'"LOWERED"'), *lines[4:]]


def _text_alone_edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[3].replace(b"positions", b"somewhere"), *lines[4:]]


def _swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[4], lines[3], *lines[5:]]


def _shortened(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], *lines[5:]]


def _recounted(lines: list[bytes]) -> list[bytes]:
    """As somebody without the key would mend it."""
    closing = json.loads(lines[-1])
    closing["row_count"] -= 1
    return [*lines[:4], *lines[5:-1], json.dumps(closing).encode() + b"\n"]


def _without_end(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def _longer(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[3]]


def _of_another_place(lines: list[bytes]) -> list[bytes]:
    opening = json.loads(lines[0])
    opening["previous_digest"] = "ab" * 32
    return [json.dumps(opening).encode() + b"\n", *lines[1:]]


def _nonsense(_: list[bytes]) -> list[bytes]:
    return [b"nothing of ours\n"]


TAMPERINGS: list[Callable[[list[bytes]], list[bytes]]] = [
    _edited, _text_alone_edited, _swapped, _shortened, _recounted, _without_end, _longer,
    _of_another_place, _nonsense,
]  # fmt: skip


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda one: one.__name__.strip("_"))
async def test_a_file_that_was_changed_is_found_with_the_database_and_without(
    sealed_system: Servers, tampering: Callable[[list[bytes]], list[bytes]]
) -> None:
    key = (sealed_system.home / "ledger.key").read_bytes()
    for number, file in enumerate(files(sealed_system)):
        kept = file.read_bytes()
        lines = content(file)
        assert tampering(lines) != lines
        rewrite(file, tampering(lines))
        found = await verified(sealed_system)
        assert not found.intact
        assert found.bad_file == file.name
        assert found.problem.startswith(f"{file.name}: ")
        assert (await verified(sealed_system, database_only=True)).intact
        judged = judge(files(sealed_system), key)
        assert judged[number].problem, file.name
        file.with_name(f"{file.name}.seal").rename(sealed_system.home / "aside")
        assert judge(files(sealed_system), key)[number].problem, "without a receipt"
        (sealed_system.home / "aside").rename(file.with_name(f"{file.name}.seal"))
        file.write_bytes(kept)
    assert (await verified(sealed_system)).intact


async def test_an_edit_within_a_file_names_the_row(sealed_system: Servers) -> None:
    key = (sealed_system.home / "ledger.key").read_bytes()
    first, *_ = files(sealed_system)
    rewrite(first, _edited(content(first)))
    (found, *_) = judge([first], key)
    assert found.verdict.first_bad_sequence == 3
    assert found.problem == "the row is not what was written"


@pytest.mark.parametrize("place", range(3))
async def test_a_file_that_is_not_there_is_found(sealed_system: Servers, place: int) -> None:
    key = (sealed_system.home / "ledger.key").read_bytes()
    everything = files(sealed_system)
    lost = everything[place]
    lost.unlink()
    found = await verified(sealed_system)
    assert (found.intact, found.bad_file) == (False, lost.name)
    assert found.problem == f"{lost.name}: the file is not there"
    problems = [one.problem for one in judge(files(sealed_system), key)]
    assert bool("".join(problems)) == (place == 1)
    assert judge([lost], key)[0].problem == "the file is not there"


async def test_files_in_another_order_or_of_another_ledger_are_found(
    sealed_system: Servers,
) -> None:
    key = (sealed_system.home / "ledger.key").read_bytes()
    first, second, third = files(sealed_system)
    assert [one.problem for one in judge([first, second, third], key)] == ["", "", ""]
    assert judge([second, first], key)[1].problem == "it does not come after the file before it"
    assert "missing before it" in judge([first, third], key)[1].problem
    assert [one.problem for one in judge([second, third], key)] == ["", ""]
    for one in judge([first, second, third], b"another key"):
        assert one.problem
    shutil.copy(third, second)
    found = await verified(sealed_system)
    assert (found.intact, found.bad_file) == (False, second.name)


async def test_a_receipt_that_was_changed_or_changed_places_is_found(
    sealed_system: Servers,
) -> None:
    key = (sealed_system.home / "ledger.key").read_bytes()
    first, second, _ = (path.with_name(f"{path.name}.seal") for path in files(sealed_system))
    kept = first.read_text()
    for other in (second.read_text(), kept.replace("retention", "x").replace("person", "x"), "{}"):
        first.write_text(other)
        assert ".seal" in (await verified(sealed_system)).problem
        assert ".seal" in judge(files(sealed_system), key)[0].problem
    first.write_text(kept)
    assert (await verified(sealed_system)).intact


def _without_inputs(name: str, value: str) -> str:
    """An edit of what a seal says, by somebody with every right on the database."""
    return (
        "update ledger set inputs_json ="
        f" cast(jsonb_set(cast(inputs_json as jsonb), '{{{{{name}}}}}', '{value}') as text)"
        " where sequence = {seal}"
    )


CUTS = {
    "more than was sealed": "delete from ledger where sequence <= {last} + 1",
    "a row within": "delete from ledger where sequence = {last} + 3",
    "the seal": "delete from ledger where sequence = {seal}",
    "an earlier seal": "delete from ledger where sequence = {seal} - 1",
    "all seals": "delete from ledger where reason = 'SEALED'",
    "the end with the seal": "delete from ledger where sequence >= {seal}",
    "another end": _without_inputs("last_sequence", "31"),
    "another hash": _without_inputs("last_hash", '"00"'),
    "another digest": _without_inputs("digest", '"00"'),
    "another file": _without_inputs("file", '"ledger-x.jsonl.gz"'),
    "nonsense": "update ledger set inputs_json = '{{}}' where sequence = {seal}",
    "one seal more": "insert into ledger select sequence + 500, entry_time, alert_id, type, actor,"
    " reason, level_before, level_after, value, flip_value, inputs_json, cycle_id, subject,"
    " previous_hash, hash from ledger where sequence = {seal}",
}


@pytest.mark.parametrize("cut", CUTS)
async def test_a_cut_that_no_seal_covers_and_an_edit_of_a_seal_are_found(
    sealed_system: Servers, cut: str
) -> None:
    listed = await sealing.segments(sealed_system)
    last, seal = listed[0].last_sequence, listed[0].seal_sequence
    await as_owner(sealed_system, CUTS[cut].format(last=last, seal=seal))
    found = await verified(sealed_system)
    assert not found.intact, cut
    if cut == "more than was sealed":
        assert found.first_bad_sequence == last + 1
        assert (
            found.problem
            == f"rows {last + 1} to {last + 1} are missing, and no sealed file has them"
        )
    # Nor does anything more leave.
    sealed_system.clock.advance(timedelta(days=60).total_seconds())
    before = await sealing.sequences(sealed_system)
    if cut not in ("more than was sealed", "a row within"):
        return
    with pytest.raises(FailedPrecondition, match="LEDGER_BROKEN"):
        await sealed(sealed_system)
    assert await sealing.sequences(sealed_system) == before


async def test_a_ledger_that_was_tampered_with_is_not_sealed(not_started: Servers) -> None:
    await not_started.start_positions()
    await past(not_started, 41)
    await start(not_started)
    await as_owner(not_started, "update ledger set level_after = 1 where sequence = 5")
    with pytest.raises(FailedPrecondition) as broken:
        await sealed(not_started)
    assert broken.value.reason == "LEDGER_BROKEN"
    assert "row 5 of the ledger: the row is not what was written" in broken.value.message
    assert files(not_started, "*") == []
    assert len(await sealing.sequences(not_started)) == 41


async def test_with_another_key_nothing_is_sealed(not_started: Servers, tmp_path: Path) -> None:
    await not_started.start_positions()
    await past(not_started, 41)
    await start(not_started, alerts_ledger_key="of another home")
    with pytest.raises(FailedPrecondition, match="LEDGER_KEY_MISSING"):
        await sealed(not_started)
    assert files(not_started, "*") == []
    assert len(await sealing.sequences(not_started)) == 41
