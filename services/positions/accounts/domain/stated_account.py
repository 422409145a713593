"""An account as its venue states it, and when what we compute of it is no more than an estimate."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from services.positions.accounts.domain.margin_account import MarginAccount

# What the venue states and what its rules add up to: further apart, a rule is not known here.
AGREEMENT_RATIO: Final = 0.01
_DUST_USD: Final = 1.0
REFUSED: Final = "ROWS_REFUSED"
UNREAD: Final = "ACCOUNT_UNREAD"
_FIGURES: Final = ("margin", "equity_usd", "maintenance_usd", "reason")


@dataclass(frozen=True, slots=True)
class StatedAccount:
    """One pool of margin of a wallet. `name` is unique in a wallet and venue.

    `mode`: the venue's word for how the collateral is held, upper case, empty where it has but one.
    `equity_usd`, `maintenance_usd`: as the venue states them; None = it does not.
    `reason`: an upper-case word why nothing can be computed of it; empty when it can.
    `isolated`: of one position, which is judged by itself.
    `estimate_only`: put together here of what the venue states of its parts: shown, never judged.
    """

    name: str
    margin: MarginAccount
    mode: str = ""
    equity_usd: float | None = None
    maintenance_usd: float | None = None
    reason: str = ""
    isolated: bool = False
    estimate_only: bool = False

    @property
    def missing(self) -> str:
        """Why there is no line; empty when there is one."""
        return self.reason or self.margin.missing

    @property
    def estimated(self) -> bool:
        """Whether it is put together here, or the venue states another equity or maintenance than
        its rules add up to here.
        """
        return self.estimate_only or not (
            _agree(self.equity_usd, self.margin.equity_usd)
            and _agree(self.maintenance_usd, self.margin.maintenance_usd)
        )


def unread(name: str, reason: str, mode: str = "", *, isolated: bool = False) -> StatedAccount:
    """An account of which only this is known."""
    return StatedAccount(name, MarginAccount(None, ()), mode, reason=reason, isolated=isolated)


def unread_fields() -> str:
    """As JSON what an account is that was there and is not in an answer that is not whole: not
    looked at is not gone.
    """
    fields = asdict(unread("", UNREAD))
    return json.dumps({name: fields[name] for name in _FIGURES})


def disbelieved(accounts: Sequence[StatedAccount]) -> tuple[StatedAccount, ...]:
    """Accounts of an answer whose figures are not believed: that they are there is all of it."""
    return tuple(
        replace(
            unread(one.name, REFUSED, one.mode, isolated=one.isolated),
            estimate_only=one.estimate_only,
        )
        for one in accounts
    )


def accounts_json(accounts: Sequence[StatedAccount]) -> str:
    """Accounts as they are stored."""
    return json.dumps([asdict(one) for one in accounts], allow_nan=False, separators=(",", ":"))


def _agree(stated_usd: float | None, computed_usd: float | None) -> bool:
    if stated_usd is None or computed_usd is None:
        return True
    return abs(stated_usd - computed_usd) <= AGREEMENT_RATIO * abs(stated_usd) + _DUST_USD
