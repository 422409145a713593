"""One run of one check, whatever it does: a bad one is an ERROR row and harms no other."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping

from services.monitor.checks import Check, CheckContext
from services.monitor.domain.findings import Badge, Finding, Run, RunStatus
from shared.errors import SonicError
from shared.log import get_logger


async def run_check(
    name: str, check: Check, context: CheckContext, limit_seconds: float
) -> tuple[Run, Finding]:
    """The row and the finding; at most `limit_seconds`."""
    began = time.perf_counter()
    finding = await _found(name, check, context, limit_seconds)
    seconds = time.perf_counter() - began
    metadata = dict(finding.metadata)
    # Checks of others need not know the word.
    remembers = getattr(check, "remembers", False)
    if remembers and finding.status is RunStatus.ERROR and not metadata and context.last:
        metadata = dict(context.last.metadata)
    return Run(name, context.now, seconds, finding.status, metadata, finding.error), finding


async def _found(name: str, check: Check, context: CheckContext, limit_seconds: float) -> Finding:
    try:
        async with asyncio.timeout(limit_seconds):
            return _checked(await check.run(context))
    except TimeoutError:
        return Finding(RunStatus.ERROR, error=f"no finding within {limit_seconds:.1f} s")
    except SonicError as error:
        return Finding(RunStatus.ERROR, error=_plain(str(error)))
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return Finding(RunStatus.ERROR, error="the check cancelled itself")
    except (Exception, SystemExit) as error:  # noqa: BLE001  a monitor of others must not take monitor down
        get_logger().error("check failed", monitor=name, exc_info=error)
        return Finding(RunStatus.ERROR, error=f"{type(error).__name__}: see the log")


def _checked(finding: object) -> Finding:
    """A finding that can be kept; raises what is wrong with it. It may be of others."""
    if not isinstance(finding, Finding):
        raise TypeError(f"a check returns a Finding, not {type(finding).__name__}")
    kept = json.dumps(dict(finding.metadata), allow_nan=False)
    words = [finding.concern, finding.error, *finding.members.keys(), *finding.members.values()]
    badges: Mapping[str, object] = finding.badges
    for badge_name, badge in badges.items():
        if badge is None:
            continue
        if not isinstance(badge, Badge) or badge.name != badge_name:
            raise TypeError(f"badge {badge_name!r} is not a Badge of that name")
        words += [
            badge_name,
            badge.value,
            *(word for part in badge.parts for word in (part.subject, part.value)),
        ]
    if "\\u0000" in kept or any(_plain(word) != word for word in words):
        raise ValueError("a finding holds a NUL, which cannot be stored")
    return finding


def _plain(text: str) -> str:
    return text.replace("\0", "")
