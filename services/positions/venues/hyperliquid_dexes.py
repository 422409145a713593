"""Several dexes of one Hyperliquid address as one answer, whole or not for each dex by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.positions.domain.venue_answer import DELISTED, Answer, Unwatched
from services.positions.venues.hyperliquid_account import Account
from services.positions.venues.hyperliquid_parser import position_id

UNREAD = "DEX_UNREAD"
_OLD = "ANSWER_OLD"


@dataclass(frozen=True, slots=True)
class DexAnswer:
    """What a dex beside the first answered; None with a sentence why not."""

    name: str
    answer: Answer | None
    message: str = ""


def with_dexes(first: Answer, dexes: Sequence[DexAnswer], account: Account, address: str) -> Answer:
    """The answer of the whole address. Of a dex that was not read whole no position is gone for
    not being in it; what it lists is taken, but for a state that is old. One that is neither listed
    nor read is not waited for: the answer is whole without it.
    """
    read = [one.answer for one in dexes if one.answer is not None and not _is_old(one.answer)]
    delisted = [
        one.name for one in dexes if one.answer is None and one.name in account.unlisted_dexes
    ]
    unread = [
        *account.unread_dexes,
        *(one.name for one in dexes if not _is_whole(one) and one.name not in delisted),
    ]
    left = tuple(
        Unwatched(f"dex {one.name}", DELISTED if one.name in delisted else "UNREAD")
        for one in dexes
        if one.answer is None or _is_old(one.answer)
    )
    whole = replace(
        first,
        holdings=(*first.holdings, *(row for one in read for row in one.holdings)),
        refusals=(*first.refusals, *(row for one in read for row in one.refusals)),
        row_count=first.row_count + sum(one.row_count for one in read),
        observed_time=min(one.observed_time for one in (first, *read)),
        message="; ".join(
            filter(
                None, (first.message, *(_words(one) for one in dexes if one.name not in delisted))
            )
        ),
        unwatched=first.unwatched + left,
        accounts=(*(first.accounts or ()), *(pool for one in read for pool in one.accounts or ())),
    )
    if not (unread or delisted):
        return whole
    is_whole = first.complete and not first.refusals
    return replace(
        whole,
        complete=first.complete and not unread,
        incomplete_reason=first.incomplete_reason or (UNREAD if unread else ""),
        unread_ids=_ids(address, [*unread, *delisted]) if is_whole else (),
        delisted_ids=_ids(address, delisted) if is_whole else (),
    )


def _ids(address: str, dexes: Sequence[str]) -> tuple[str, ...]:
    return tuple(position_id(address, f"{name}:*") for name in dexes)


def _is_old(answer: Answer) -> bool:
    return answer.incomplete_reason == _OLD


def _is_whole(dex: DexAnswer) -> bool:
    return dex.answer is not None and dex.answer.complete and not dex.answer.refusals


def _words(dex: DexAnswer) -> str:
    if dex.answer is None:
        return f"dex {dex.name}: {dex.message}"
    said = dex.answer.message or ("rows were refused" if dex.answer.refusals else "")
    return f"dex {dex.name}: {said}" if said else ""
