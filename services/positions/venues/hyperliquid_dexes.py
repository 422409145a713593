"""Several dexes of one Hyperliquid address as one answer, whole or not for each dex by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.positions.domain.venue_answer import Answer, Unwatched
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
    not being in it; what it lists is taken, but for a state that is old.
    """
    read = [one.answer for one in dexes if one.answer is not None and not _is_old(one.answer)]
    unread = [*account.unread_dexes, *(one.name for one in dexes if not _is_whole(one))]
    left = tuple(
        Unwatched(f"dex {one.name}", "UNREAD")
        for one in dexes
        if one.answer is None or _is_old(one.answer)
    )
    whole = replace(
        first,
        holdings=(*first.holdings, *(row for one in read for row in one.holdings)),
        refusals=(*first.refusals, *(row for one in read for row in one.refusals)),
        row_count=first.row_count + sum(one.row_count for one in read),
        observed_time=min(one.observed_time for one in (first, *read)),
        message="; ".join(filter(None, (first.message, *map(_words, dexes)))),
        unwatched=first.unwatched + left,
        accounts=(*(first.accounts or ()), *(pool for one in read for pool in one.accounts or ())),
    )
    if not unread:
        return whole
    ids = tuple(position_id(address, f"{name}:*") for name in unread)
    is_whole = first.complete and not first.refusals
    return replace(
        whole,
        complete=False,
        incomplete_reason=first.incomplete_reason or UNREAD,
        unread_ids=ids if is_whole else (),
    )


def _is_old(answer: Answer) -> bool:
    return answer.incomplete_reason == _OLD


def _is_whole(dex: DexAnswer) -> bool:
    return dex.answer is not None and dex.answer.complete and not dex.answer.refusals


def _words(dex: DexAnswer) -> str:
    if dex.answer is None:
        return f"dex {dex.name}: {dex.message}"
    said = dex.answer.message or ("rows were refused" if dex.answer.refusals else "")
    return f"dex {dex.name}: {said}" if said else ""
