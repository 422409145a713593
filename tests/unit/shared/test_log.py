"""Log lines carry the words of their call, and no URL of a provider."""

import asyncio
import json
import logging

import pytest

from shared import log


@pytest.fixture(autouse=True)
def quiet_afterwards() -> object:
    kept = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = kept


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
