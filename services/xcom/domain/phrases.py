"""What a message says in few words: what, how far from liquidation, what to do. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

# A marker that every alphabet has, SMS too.
DEMO = "DEMO"
_DEMO_SENTENCE = "DEMO: simulated data, no money of yours."
_HEAD = re.compile(r"^(?:DEMO:? )?(?:LOW|MEDIUM|HIGH): ")


def is_demo(facts: Mapping[str, str]) -> bool:
    """Whether the message is about simulated data."""
    return facts.get("demo") == "true"


def marked(subject: str, body: str, facts: Mapping[str, str]) -> tuple[str, str]:
    """Subject and body as people get them: of simulated data both say so, once."""
    if not is_demo(facts):
        return subject, body
    if not subject.startswith(DEMO):
        subject = f"{DEMO} {subject}"
    if body and not body.startswith(DEMO):
        body = f"{_DEMO_SENTENCE}\n{body}"
    return subject, body


def about(facts: Mapping[str, str]) -> str:
    """`SOL long`, `BTC`; empty when the message is about no asset."""
    return " ".join(filter(None, (facts.get("asset"), facts.get("side", "").lower())))


def far(facts: Mapping[str, str]) -> str:
    """`4.01 % to liquidation`; empty when no distance is known or the danger is over."""
    if facts.get("event", "RAISED") != "RAISED":
        return ""
    try:
        percent = float(facts.get("liquidation_distance_percent", ""))
    except ValueError:
        return ""
    if not math.isfinite(percent):
        return ""
    if percent <= 0:
        return f"PAST LIQUIDATION by {rounded(f'{abs(percent):.3g}')} %"
    return f"{rounded(f'{percent:.3g}')} % to liquidation"


def to_do(facts: Mapping[str, str]) -> str:
    """`add 250 USD or cut 400 USD`; `check now` when no amount is known; empty when nothing is to
    be done.
    """
    if facts.get("event", "RAISED") != "RAISED" or not about(facts):
        return ""
    amounts = [("add", facts.get("collateral_to_add_usd")), ("cut", facts.get("size_to_cut_usd"))]
    ways = [
        f"{verb} {rounded(amount)} USD" for verb, amount in amounts if amount and _is_some(amount)
    ]
    return " or ".join(ways) or "check now"


def phrase(subject: str, facts: Mapping[str, str], *, short: bool = False) -> str:
    """One message in few words; the subject when it is about no position. `short`: without the
    wallet.
    """
    distance = far(facts)
    if not distance:
        matter = _HEAD.sub("", subject)
        return ", ".join(filter(None, (matter, to_do(facts) if facts.get("side") else "")))
    wallet = f" ({facts['wallet']})" if facts.get("wallet") and not short else ""
    return f"{about(facts)}{wallet} {distance}, {to_do(facts)}"


def rounded(text: str | float) -> str:
    """Few digits of a number without an exponent; what is none stays as it is."""
    try:
        number = float(text)
    except ValueError:
        return str(text)
    if not math.isfinite(number):
        return "unknown"
    if number == int(number) or abs(number) >= 100_000:
        return f"{number:.0f}"
    if abs(number) >= 1e-4:
        return f"{number:.6g}"
    # Of some assets this is a price.
    return f"{Decimal(f'{number:.3g}'):f}" if abs(number) >= 1e-12 else "0"


def joined(parts: Sequence[str], glue: str) -> str:
    """Parts that say something, each without its full stop."""
    return glue.join(part.strip().rstrip(".") for part in parts if part.strip())


def _is_some(amount: str) -> bool:
    try:
        return float(amount) > 0
    except ValueError:
        return False
