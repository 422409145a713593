"""Who may hear how a cycle ended, and what they hear. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from services.cyclone.domain.cycle import Cycle, CycleState
from shared.errors import FailedPrecondition, InvalidArgument
from shared.secret_shapes import without_secrets
from shared.texts import cut

_FIELD = "deliver_to"
# As xcom bounds them.
_SUBJECT_LENGTH, _BODY_LENGTH = 300, 10_000
_MAIL, _WEB = "email", "webhook"


@dataclass(frozen=True, slots=True)
class Result:
    """What is told of a cycle: `page` is its report as a file, empty when there is none."""

    request_id: str
    cycle_id: str
    recipients: tuple[str, ...]
    is_good: bool
    is_demo: bool
    subject: str
    body: str
    page: str = ""


def recipients(
    asked: Sequence[str], missing: Mapping[str, Sequence[str]], allowed: Collection[str]
) -> tuple[str, ...]:
    """Each once, as `channel` or `channel:address`. `missing` says of every channel what it lacks.

    Raises UNKNOWN_NAME, ADDRESS_NOT_ALLOWED, CHANNEL_NOT_CONFIGURED naming the field.
    """
    return tuple(dict.fromkeys(_recipient(one.strip(), missing, allowed) for one in asked))


def parted(recipient: str) -> tuple[str, str]:
    """Channel and address; the address is empty for the channel's own."""
    channel, _, address = recipient.partition(":")
    return channel, address


def result(cycle: Cycle, told: str, page: str, public_url: str) -> Result:
    """The summary, with a link where the report can be read when there is an address for it."""
    lines = [told]
    if page and public_url:
        lines.append(f"Report: {public_url.rstrip('/')}/v1/cycles/{cycle.id}:report")
    elif page:
        lines.append(f"Report: sonic report {cycle.id}")
    demo = "DEMO: " if cycle.demo else ""
    taken = cycle.duration
    took = f" in {taken.total_seconds():.1f} s" if taken is not None else ""
    return Result(
        f"cycle-result-{cycle.id}",
        cycle.id,
        cycle.deliver_to,
        cycle.state is CycleState.SUCCEEDED,
        cycle.demo,
        cut(f"{demo}Cycle {cycle.state.name}{took}", _SUBJECT_LENGTH),
        cut(without_secrets("\n".join(lines)), _BODY_LENGTH),
        page,
    )


def _recipient(asked: str, missing: Mapping[str, Sequence[str]], allowed: Collection[str]) -> str:
    kind = _WEB if "://" in asked else _MAIL if "@" in asked else ""
    if kind:
        return _address(kind, asked, allowed)
    name = asked.lower()
    if name not in missing:
        problem = f"one of {', '.join(missing)}, or an address of RESULT_ADDRESSES"
        raise InvalidArgument(
            "UNKNOWN_NAME",
            f"no channel {asked[:60]!r}; {_FIELD} takes {problem}",
            fields={_FIELD: problem},
        )
    if lacking := missing[name]:
        problem = f"channel {name} cannot be used: {', '.join(lacking)}"
        raise FailedPrecondition("CHANNEL_NOT_CONFIGURED", problem, fields={_FIELD: problem})
    return name


def _address(kind: str, asked: str, allowed: Collection[str]) -> str:
    # Never repeated: the path of a web address may be its secret.
    same = next((one for one in allowed if _same(kind, one) == _same(kind, asked)), None)
    if same is None:
        what = "this web address" if kind == _WEB else "this mail address"
        fix = f"add {what} to RESULT_ADDRESSES of cyclone, or name a channel"
        raise InvalidArgument(
            "ADDRESS_NOT_ALLOWED", f"{what} is not allowed; {fix}", fields={_FIELD: fix}
        )
    return f"{kind}:{same}"


def _same(kind: str, address: str) -> str:
    return address.strip().lower() if kind == _MAIL else address.strip()
