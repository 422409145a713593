"""Log lines carry the words of their call, and no URL of a provider."""

import asyncio
import json
import logging
import os
from pathlib import Path

import pytest

from shared import log


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


async def test_a_line_carries_what_its_task_has_bound(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("price")

    async def work(cycle_id: str) -> None:
        log.bind(cycle_id=cycle_id)
        await asyncio.sleep(0)
        log.get_logger().info("worked")

    await asyncio.gather(asyncio.create_task(work("cyc-1")), asyncio.create_task(work("cyc-2")))
    told = lines(capsys)
    assert [line["cycle_id"] for line in told] == ["cyc-1", "cyc-2"]
    assert {line["service"] for line in told} == {"price"}
    assert log.bound() == {}


def test_standard_logging_speaks_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("price")
    logging.getLogger("somewhere").warning("look %s", "here")
    [line] = lines(capsys)
    assert (line["event"], line["level"]) == ("look here", "warning")


def test_urls_of_providers_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("price", "DEBUG")
    logging.getLogger("httpx").info("HTTP Request: GET https://x/wallet-address")
    logging.getLogger("httpcore.http11").debug("wallet-address")
    assert lines(capsys) == []


def test_an_exception_is_told_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("price")
    log.get_logger().error("failed", exc_info=OSError("gone"))
    assert "OSError: gone" in lines(capsys)[0]["exception"]


def test_a_file_is_kept_small_in_whole_lines_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "price.log"
    handler = log.WholeLines(path, max_bytes=1000, kept_count=2)
    for number in range(100):
        handler.emit(logging.makeLogRecord({"msg": f"line {number:03} " + "x" * 90}))
    handler.close()
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["price.log", "price.log.1", "price.log.2"]
    assert all(file.stat().st_size <= 1000 and file.stat().st_mode & 0o077 == 0 for file in files)
    told = [line for file in reversed(files) for line in file.read_text().splitlines()]
    assert [line.split()[1] for line in told] == [
        f"{number:03}" for number in range(100 - len(told), 100)
    ]


def test_a_file_that_cannot_be_begun_anew_leaves_the_old_one_and_every_other_descriptor_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    path = tmp_path / "price.log"
    handler = log.WholeLines(path, max_bytes=100, kept_count=2)
    handler.emit(logging.makeLogRecord({"msg": "first " + "x" * 80}))
    (tmp_path / "price.log.new").mkdir()
    for _ in range(3):
        handler.emit(logging.makeLogRecord({"msg": "lost " + "x" * 80}))
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    handler.emit(logging.makeLogRecord({"msg": "lost " + "x" * 80}))
    assert os.fstat(other).st_size == 0 and "first" in path.read_text()
    (tmp_path / "price.log.new").rmdir()
    handler.emit(logging.makeLogRecord({"msg": "again " + "y" * 60}))
    handler.close()
    os.close(other)
    assert path.read_text().startswith("again")
    assert "first" in (tmp_path / "price.log.1").read_text()


def test_a_process_with_a_log_file_writes_there_and_not_to_its_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "price.log"
    log.configure("price", file=str(path))
    log.get_logger().error("failed", exc_info=ValueError("a\nb \ud800"))
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["event"] == "failed"
    assert capsys.readouterr().err == ""
