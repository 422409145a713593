"""Several dexes and subaccounts of one Hyperliquid address as one answer, whole or not for each of
them by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.positions.domain.venue_answer import DELISTED, Answer, Unwatched
from services.positions.venues.hyperliquid_account import NO_SUBACCOUNTS, Account, Subaccounts
from services.positions.venues.hyperliquid_parser import position_id
from services.positions.venues.hyperliquid_subaccounts import Subaccount

UNREAD = "DEX_UNREAD"
SUBACCOUNT_UNREAD = "SUBACCOUNT_UNREAD"
_OLD = "ANSWER_OLD"


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """What a part of an address answered, a dex beside the first, a subaccount or spot balances;
    None with a sentence why not. `ids`: the pattern of its positions, within those of the address;
    `dex`: its name, empty of what is none; `token`: the number of what it counts in, None = not
    known; `reason`: why the answer of the address is not whole without it.
    """

    part: str
    ids: str
    answer: Answer | None
    message: str = ""
    dex: str = ""
    token: int | None = None
    reason: str = SUBACCOUNT_UNREAD


def of_dex(
    name: str, answer: Answer | None, message: str = "", token: int | None = None
) -> PartAnswer:
    """The answer of a dex."""
    return PartAnswer(f"dex {name}", _dex_ids(name), answer, message, name, token, UNREAD)


def with_parts(
    first: Answer,
    parts: Sequence[PartAnswer],
    account: Account,
    address: str,
    subaccounts: Subaccounts = NO_SUBACCOUNTS,
) -> Answer:
    """The answer of the whole address. Of a part that was not read whole no position is gone for
    not being in it; what it lists is taken, but for a state that is old. A dex that is neither
    listed nor read is not waited for: the answer is whole without it.
    """
    read = [one.answer for one in parts if one.answer is not None and not _is_old(one.answer)]
    gone = [one for one in parts if one.answer is None and one.dex in account.unlisted_dexes]
    delisted = [one.ids for one in gone if one.dex]
    dexes = [*map(_dex_ids, account.unread_dexes), *_unread(parts, delisted, of_dexes=True)]
    others = [*subaccounts.unread_ids, *_unread(parts, delisted, of_dexes=False)]
    left = tuple(
        Unwatched(one.part, DELISTED if one.ids in delisted else "UNREAD")
        for one in parts
        if one.answer is None or _is_old(one.answer)
    )
    words = (_words(one) for one in parts if one.ids not in delisted)
    whole = replace(
        first,
        holdings=(*first.holdings, *(row for one in read for row in one.holdings)),
        refusals=(*first.refusals, *(row for one in read for row in one.refusals)),
        row_count=first.row_count + sum(one.row_count for one in read),
        observed_time=min(one.observed_time for one in (first, *read)),
        message="; ".join(filter(None, (first.message, *words))),
        unwatched=(
            *(first.unwatched + left + subaccounts.unwatched),
            *(one for answer in read for one in answer.unwatched),
        ),
        accounts=(*(first.accounts or ()), *(pool for one in read for pool in one.accounts or ())),
        apart_ids=_ids(address, subaccounts.apart_ids),
    )
    unread = [*dexes, *others]
    aside = [*unread, *delisted, *subaccounts.unasked_ids]
    own = tuple(name for one in read for name in one.unread_ids)
    may_age = first.complete and not first.refusals
    reasons = [one.reason for one in parts if one.ids in others] or [SUBACCOUNT_UNREAD]
    reason = UNREAD if dexes else reasons[0] if others else ""
    return replace(
        whole,
        complete=first.complete and not unread,
        incomplete_reason=first.incomplete_reason or reason,
        unread_ids=(*_ids(address, aside), *own) if may_age else (),
        delisted_ids=_ids(address, delisted) if may_age else (),
    )


def merged(answers: Sequence[Answer], received_time: datetime) -> Answer:
    """Answers of the dexes of one account as one, whole when each of them is."""
    return Answer(
        tuple(row for one in answers for row in one.holdings),
        tuple(row for one in answers for row in one.refusals),
        all(one.complete for one in answers),
        next((one.incomplete_reason for one in answers if one.incomplete_reason), ""),
        sum(one.row_count for one in answers),
        min((one.observed_time for one in answers), default=received_time),
        "; ".join(dict.fromkeys(one.message for one in answers if one.message)),
        accounts=tuple(pool for one in answers for pool in one.accounts or ()),
    )


def owned(answer: Answer, subaccount: Subaccount, owner: str) -> Answer:
    """The answer of a subaccount as a part of its owner's: positions and pools by names of their
    own.
    """

    def named(own_id: str) -> str:
        return subaccount.owned_id(owner, own_id)

    return replace(
        answer,
        holdings=tuple(replace(one, position_id=named(one.position_id)) for one in answer.holdings),
        refusals=tuple(
            replace(one, position_id=None if one.position_id is None else named(one.position_id))
            for one in answer.refusals
        ),
        accounts=tuple(
            replace(one, name=f"{subaccount.part} {one.name}") for one in answer.accounts or ()
        ),
    )


def is_whole(part: PartAnswer) -> bool:
    """Whether all of the part was read."""
    return part.answer is not None and part.answer.complete and not part.answer.refusals


def _unread(parts: Sequence[PartAnswer], but: Sequence[str], *, of_dexes: bool) -> list[str]:
    """The patterns of those that were not read whole."""
    return [
        one.ids
        for one in parts
        if bool(one.dex) is of_dexes and not is_whole(one) and one.ids not in but
    ]


def _dex_ids(name: str) -> str:
    return f"{name}:*"


def _ids(address: str, patterns: Sequence[str]) -> tuple[str, ...]:
    return tuple(position_id(address, one) for one in patterns)


def _is_old(answer: Answer) -> bool:
    return answer.incomplete_reason == _OLD


def _words(part: PartAnswer) -> str:
    if part.answer is None:
        return f"{part.part}: {part.message}"
    said = part.answer.message or ("rows were refused" if part.answer.refusals else "")
    return f"{part.part}: {said}" if said else ""
