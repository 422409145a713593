"""What people read and hear: a whole text, a short one, a spoken one. Pure; knows facts, not their source."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from services.xcom.domain.messages import Letter

SMS_LENGTH = 160
_SPOKEN_LENGTH = 600
_LISTED_COUNT = 20
# The basic alphabet of GSM 03.38; each of its characters is one of 160. Others would halve the message.
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_TYPOGRAPHY = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "„": '"', "“": '"', "”": '"', "’": "'", "…": "..."}
)


def whole_text(letter: Letter) -> str:
    """The body, or the subject when there is none, and the link."""
    text = letter.body or letter.subject
    return f"{text}\n\nAcknowledge or snooze: {letter.link}" if letter.link else text


def short_text(letter: Letter) -> str:
    """At most 160 GSM characters: what, where, how far, what to do; the link if it leaves half of them."""
    link = f" {letter.link}" if letter.link and len(letter.link) < SMS_LENGTH // 2 else ""
    room = SMS_LENGTH - len(link)
    text = gsm(_joined(_parts(letter), ". "))
    return (text if len(text) <= room else f"{text[: room - 3].rstrip()}...") + link


def spoken_text(letter: Letter) -> str:
    """Sentences to be read aloud, twice: a phone is slow to reach the ear."""
    words = _joined([f"Sonic. {letter.level.name.lower()} message", *_parts(letter)], ". ")
    words = (
        words.translate(_TYPOGRAPHY)
        .replace("%", " percent")
        .replace("USD", "dollars")
        .replace(" -", " minus ")
    )
    words = re.sub(r"\s+", " ", words)[:_SPOKEN_LENGTH]
    return f"{words}. I repeat. {words}."


def digest_texts(count: int, channel: str, subjects: Sequence[str]) -> tuple[str, str]:
    """Subject and body of one message that stands for `count` of them; the loudest and oldest are named."""
    listed = [f"- {subject}" for subject in subjects[:_LISTED_COUNT]]
    if count > len(listed):
        listed.append(f"... and {count - len(listed)} more")
    return f"{count} messages in one", f"Held together on {channel}:\n" + "\n".join(listed)


def gsm(text: str) -> str:
    """The text in the GSM alphabet on one line; accents it lacks are dropped, the rest becomes `?`."""
    text = re.sub(r"\s+", " ", text.translate(_TYPOGRAPHY)).strip()
    return "".join(_gsm_character(character) for character in text)


def _gsm_character(character: str) -> str:
    if character in _GSM:
        return character
    plain = unicodedata.normalize("NFKD", character)[0]
    return plain if plain in _GSM else "?"


def _parts(letter: Letter) -> list[str]:
    """What, where, how far, what to do, as far as the facts say."""
    facts = letter.facts
    parts = [letter.subject]
    named = " ".join(filter(None, (facts.get("asset"), facts.get("side"), facts.get("wallet"))))
    if named and facts.get("asset", "") not in letter.subject:
        parts.append(named)
    elif facts.get("wallet") and f"({facts['wallet']})" not in letter.subject:
        parts.append(f"wallet {facts['wallet']}")
    where = _labelled(facts, {"price": "price_usd", "liquidation": "liquidation_price_usd"}, " USD")
    far = _far(facts.get("liquidation_distance_percent", ""))
    rest = facts.get("action", "")
    if not (where or far or rest):
        rest = letter.body.partition("\n")[0]
    return [*parts, *where, *far, rest]


def _far(percent: str) -> list[str]:
    if percent.startswith("-") or percent == "0":
        return [f"PAST LIQUIDATION by {_rounded(percent.removeprefix('-'))} %"]
    return [f"distance {_rounded(percent)} %"] if percent else []


def _labelled(facts: Mapping[str, str], labels: Mapping[str, str], unit: str) -> list[str]:
    return [f"{label} {_rounded(facts[name])}{unit}" for label, name in labels.items() if facts.get(name)]


def _rounded(text: str) -> str:
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text


def _joined(parts: Sequence[str], glue: str) -> str:
    return glue.join(part.strip().rstrip(".") for part in parts if part.strip())
