"""What people read and hear: a whole text, a short one, a spoken one. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.xcom.domain.fitting import Size, cut, fitted
from services.xcom.domain.messages import DeliveryAttempt, DeliveryReason, Level
from services.xcom.domain.phrases import far, is_demo, joined, rounded, to_do

SMS_LENGTH = 160
_SPOKEN_LENGTH = 600
# The basic alphabet of GSM 03.38; each of its characters is one of 160. Others would halve the
# message.
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ "
    "!\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_TYPOGRAPHY = str.maketrans(
    {
        "–": "-",
        "—": "-",
        "−": "-",
        "„": '"',
        "“": '"',
        "”": '"',
        "’": "'",
        "…": "...",
        "≤": "<=",
        "≥": ">=",
        # They cost two characters each, or are none at all.
        "[": "(",
        "]": ")",
        "{": "(",
        "}": ")",
        "|": "/",
        "~": "-",
        "\\": "/",
    }
)
_SPOKEN: Sequence[tuple[str, str]] = (
    (r"(?<=\d),(?=\d{3})", ""),
    (r"<=", " at or below "),
    (r">=", " at or above "),
    (r"<", " below "),
    (r">", " above "),
    (r"(?<![\w.])-\s?(?=\d)", " minus "),
    (r"(?<![\w.])\+\s?(?=\d)", " plus "),
    (r"(?<=\d)x\b", " times"),
    (r"%", " percent"),
    (r"\$|\bUSD\b", " dollars"),
    (r"&", " and "),
    (r"[()\[\]{}]", ", "),
)
_DECIMAL = re.compile(r"(?<=\d)\.(\d+)")
_SHOUTED = re.compile(
    r"\b(?:LOW|MEDIUM|HIGH|RESOLVED|CLOSED|BACK|DEMO|PAST LIQUIDATION|OVER BEFORE IT WAS TOLD)\b"
)


def whole_text(attempt: DeliveryAttempt, room: int | None = None, size: Size = len) -> str:
    """The body, or the subject when there is none, and the link; within `room` as far as `size`
    measures.
    """
    text = attempt.body or attempt.subject
    link = f"\n\nAcknowledge or snooze: {attempt.link}" if attempt.link else ""
    if room is not None:
        unit = "" if attempt.reason is DeliveryReason.DIGEST else " lines"
        text = fitted(text, room - size(link), size, unit)
    return text + link


def titled_text(attempt: DeliveryAttempt, room: int, size: Size = len) -> str:
    """The subject as first line of the whole text, for services that know no title."""
    if attempt.body.startswith(attempt.subject):
        return whole_text(attempt, room, size)
    head = fitted(attempt.subject, room // 2, size)
    if not attempt.body:
        return whole_text(replace(attempt, body=head), room, size)
    return f"{head}\n\n" + whole_text(attempt, room - size(head) - 2, size)


def short_text(attempt: DeliveryAttempt) -> str:
    """At most 160 GSM characters: what, how far, what to do, where; the link if it leaves half of
    them.

    What does not fit is left out whole, the least needed first.
    """
    link = f" {attempt.link}" if attempt.link and len(attempt.link) < SMS_LENGTH // 2 else ""
    room = SMS_LENGTH - len(link)
    if attempt.worst is not None:
        return gsm(attempt.worst.within(room)) + link
    first, *more = (gsm(part) for part in _parts(attempt))
    text = cut(joined([first], ""), room)
    for part in filter(None, more):
        longer = joined([text, part], ". ")
        if len(longer) > room:
            break
        text = longer
    return text + link


def spoken_text(attempt: DeliveryAttempt) -> str:
    """Sentences to be read aloud, twice: a phone is slow to reach the ear."""
    worst = attempt.worst
    parts = worst.sentences() if worst is not None else _parts(attempt)
    marks = ["Demo, simulated data"] if is_demo(attempt.facts) else []
    is_plain = attempt.level is Level.LOW or parts[0].startswith(("DEMO", attempt.level.name))
    head = [] if is_plain else [attempt.level.name]
    words = joined(["Sonic", *marks, *head, *(spoken(part) for part in parts)], ". ")
    words = cut(_capitals_low(words), _SPOKEN_LENGTH).rstrip(".")
    return f"{words}. I repeat. {words}."


def spoken(text: str) -> str:
    """As a voice reads it well: numbers without signs, no symbols."""
    text = text.translate(_TYPOGRAPHY)
    for pattern, word in _SPOKEN:
        text = re.sub(pattern, word, text)
    text = _DECIMAL.sub(lambda found: f" point {' '.join(found[1])}", text)
    text = re.sub(r"[^\w\s.,:;?!'-]|_", " ", text)
    return re.sub(r"[\s,]+(?=[.,:;?!])", "", re.sub(r"\s+", " ", text)).strip(" ,;")


def gsm(text: str) -> str:
    """The text in the GSM alphabet on one line; accents it lacks are dropped,
    the rest becomes `?`."""
    text = re.sub(r"\s+", " ", text.translate(_TYPOGRAPHY)).strip()
    return "".join(_gsm_character(character) for character in text)


def _capitals_low(text: str) -> str:
    # A voice spells words in capitals.
    return _SHOUTED.sub(lambda found: found[0].capitalize(), text)


def _gsm_character(character: str) -> str:
    if character in _GSM:
        return character
    plain = unicodedata.normalize("NFKD", character)[0]
    return plain if plain in _GSM else "?"


def _parts(attempt: DeliveryAttempt) -> list[str]:
    """What, how far, what to do, where, as far as the facts say; the first is never empty."""
    facts = attempt.facts
    named = " ".join(filter(None, (facts.get("asset"), facts.get("side"), facts.get("wallet"))))
    whose = ""
    if named and facts.get("asset", "") not in attempt.subject:
        whose = named
    elif facts.get("wallet") and f"({facts['wallet']})" not in attempt.subject:
        whose = f"wallet {facts['wallet']}"
    where = _labelled(facts, {"price": "price_usd", "liquidation": "liquidation_price_usd"}, " USD")
    rest = _rest(attempt, bool(where))
    return [attempt.subject, whose, far(facts), rest, *where]


def _rest(attempt: DeliveryAttempt, located: bool) -> str:
    """What to do with its amount, if one is known; else the action in words,
    else the first line."""
    facts = attempt.facts
    amount = to_do(facts)
    if "USD" in amount:
        return amount
    if facts.get("action"):
        return facts["action"]
    if located or far(facts):
        return amount
    first = attempt.body.partition("\n")[0]
    return "" if first == attempt.subject else first


def _labelled(facts: Mapping[str, str], labels: Mapping[str, str], unit: str) -> list[str]:
    return [
        f"{label} {rounded(facts[name])}{unit}" for label, name in labels.items() if facts.get(name)
    ]
