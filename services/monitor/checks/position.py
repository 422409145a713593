"""Whether every wallet answers, and how many positions are held."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from services.monitor.checks import Check, CheckContext, WalletReading, is_too_many
from services.monitor.checks.venue import VenueCheck, venues_of
from services.monitor.domain.findings import Badge, Finding, Level, Part, RunStatus
from services.monitor.domain.unreadable import is_told_by_venue

# How positions words a part of an account that it could not look at; several stand in one.
_LOOKED = "not looked at"
# Reasons of which the parts that are not read say all.
_NAMED = ("NOT_WATCHED", "DEX_UNREAD", "SUBACCOUNT_UNREAD", "SUBACCOUNTS_UNREAD")
_TOLD = "told_wallets"
_WORTH = re.compile(r", -?[\d,]+ USD$")
# A row that is refused at one look may be taken at the next: what leapt is, after a minute.
_DOUBTED_FOR = timedelta(minutes=5)
_SINCE = "doubted_since"
_OLD = "Look at the venue itself: what is shown here is old, and levels only hold."
_NOWHERE = "Look at the venue itself: what lies there is in no row, no total and no alert here."
_REFUSED = (
    "Look at the venue itself: of what is refused the last good row is shown and its levels only"
    " hold, and what is missing is in no alert here. See sonic positions refused."
)


class PositionCheck(Check):
    """Says which wallets could not be read. Threshold: share of those that are fetched."""

    name = "position"
    description = "Wallets that answer, positions that are held"
    interval = timedelta(minutes=1)
    every_cycle = True
    takes_threshold = True
    remembers = True
    beside = (VenueCheck.name,)

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when the last fetch of a wallet failed, a part of its account is not read, or its
        answers cannot be taken whole for five minutes.
        """
        held = await context.readings.holdings()
        failed = {wallet.name: wallet.reason for wallet in held.wallets if wallet.state == "FAILED"}
        partial = [wallet for wallet in held.wallets if wallet.state == "PARTIAL"]
        unread = {wallet.name: wallet.unwatched for wallet in partial if wallet.unwatched}
        since, doubted = _doubted({wallet.name: _doubt(wallet) for wallet in partial}, context)
        metadata: dict[str, object] = {
            "position_count": held.position_count,
            "stale_count": held.stale_count,
            "failed_wallets": failed,
            "unread_parts": {name: list(parts) for name, parts in unread.items()},
            _SINCE: since,
        }
        are_too_many = is_too_many(len(failed), len(held.wallets), context.threshold_percent)
        is_breach = are_too_many or bool(unread or doubted)
        failed = failed if are_too_many else {}
        left = await _left_to_venues(context, failed)
        metadata[_TOLD] = sorted(failed.keys() - left)
        level = Level.MEDIUM if is_breach else Level.NORMAL
        count = str(held.position_count)
        stale = bool(metadata["failed_wallets"] or held.stale_count)
        parts = (
            *(
                Part(name, count, Level.MEDIUM, stale=True)
                for name in sorted({**failed, **unread, **doubted})
            ),
            Part("", count, Level.NORMAL, stale),
        )
        badge = Badge("position_badge", count, level, stale, parts)
        is_shown = held.position_count or metadata["failed_wallets"] or unread or doubted
        badges = {"position_badge": badge if is_shown else None}
        if not is_breach:
            return Finding(RunStatus.SUCCESS, metadata, badges)
        failed = {name: reason for name, reason in failed.items() if name not in left}
        if left and not failed and not unread and not doubted:
            # A breach, of which nothing is said here: nor that what was told before is over.
            return Finding(RunStatus.BREACH, metadata, badges)
        return _breach(metadata, badges, failed, unread, doubted)


def _breach(
    metadata: Mapping[str, object],
    badges: Mapping[str, Badge | None],
    failed: Mapping[str, str],
    unread: Mapping[str, Sequence[str]],
    doubted: Mapping[str, str],
) -> Finding:
    """What is said of these wallets: reasons, or parts that are not read, by name."""
    parts_unread = [_parts_of(name, parts) for name, parts in unread.items()]
    reasons = {**{name: "; ".join(parts) for name, parts in unread.items()}, **failed}
    wallets = {name: f"{name} ({reason})" for name, reason in sorted(reasons.items())}
    in_part = {f"{name} in part": f"{name} ({word})" for name, word in sorted(doubted.items())}
    if failed:
        concern, advice = "wallets that cannot be read", _OLD
    else:
        concern, advice = "parts of accounts that are not read", _NOWHERE
    concerns = [f"{concern}: {', '.join(wallets.values())}"] if wallets else []
    if in_part:
        concerns.append(f"answers that cannot be taken whole: {', '.join(in_part.values())}")
    return Finding(
        RunStatus.BREACH,
        metadata,
        badges,
        concern="; ".join(concerns),
        advice=advice if wallets else _REFUSED,
        members={name: wallets[name] for name in sorted(failed)}
        | {name: words for parts in parts_unread for name, words in sorted(parts.items())}
        | in_part,
    )


async def _left_to_venues(context: CheckContext, failed: Mapping[str, str]) -> set[str]:
    """Of these wallets those of which the monitor `venue` tells; who was told of here stays so."""
    run = context.others.get(VenueCheck.name)
    if run is None or not failed:
        return set()
    told = context.last.metadata.get(_TOLD) if context.last else None
    known = set(told) if isinstance(told, list) else set()
    memories = venues_of(run)
    return {
        wallet
        for one in await context.readings.venues()
        if is_told_by_venue(one, memories.get(one.venue), context.now)
        for wallet in one.failures
        if wallet in failed and wallet not in known
    }


def _doubt(wallet: WalletReading) -> str:
    """Why its answer cannot be taken whole; empty where parts that are not read are all of it."""
    return "" if wallet.unwatched and wallet.reason in _NAMED else wallet.reason


def _doubted(
    words: Mapping[str, str], context: CheckContext
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Since when each wallet has such a word, as the ledger carries it from run to run; and the
    words of those that have one for long.
    """
    carried = context.last.metadata.get(_SINCE) if context.last else None
    known = carried if isinstance(carried, dict) else {}
    since: dict[str, str] = {}
    told: dict[str, str] = {}
    for name, word in words.items():
        if not word:
            continue
        moment = datetime.fromisoformat(known[name]) if name in known else context.now
        # A clock that was set back does not put it off.
        since[name] = min(moment, context.now).isoformat()
        if context.now - moment >= _DOUBTED_FOR:
            told[name] = word
    return since, told


def _parts_of(wallet: str, parts: Sequence[str]) -> dict[str, str]:
    """Words for each part, by a name that stays while its worth moves: another part of the same
    wallet, or the whole of it that cannot be read, is told anew.
    """
    found: dict[str, str] = {}
    for words in parts:
        verb, _, named = words.partition(": ")
        for one in named.split(", ") if verb == _LOOKED else [named]:
            part = f"{verb}: {one}"
            found[f"{wallet} {_WORTH.sub('', part)}"] = f"{wallet} ({part})"
    return found
