"""What people read of many changes at once: the worst named first, the rest counted. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from services.alerts.alerts.domain.digests import Digest
from services.alerts.notifications.domain import (
    BACK,
    CLOSED,
    DEMO,
    ENDED_INCIDENTS,
    GONE,
    LIQUIDATED,
    RAISED,
    SUBJECT_LENGTH,
    Payload,
    about,
    distance,
    head,
    matter,
    short,
)
from shared.texts import cut

# Not among the facts that go out: texts are the message itself.
SUBJECT: Final = "subject"
BODY: Final = "body"
# The worst in words that fit where there is little room, as JSON.
WORST: Final = "worst"
DIGEST_ID: Final = "digest_id"
_PHRASE_LENGTH = 200
_LINE_LENGTH = 400
# Of these people are told once a position.
_OF_POSITIONS = (BACK, CLOSED, GONE, LIQUIDATED)


def digest_payload(digest: Digest, worst: Sequence[Mapping[str, str]]) -> Payload:
    """Facts of a digest: those of its worst change, and what stands for all; `worst`: payloads of
    the worst, in order.
    """
    first, count = worst[0], len(digest.members)
    facts = {name: text for name, text in first.items() if name != ENDED_INCIDENTS}
    noun = "positions" if first["event"] in _OF_POSITIONS else "alerts"
    named = [worst[place] for place in digest.named]
    phrases = [cut(_phrase(one), _PHRASE_LENGTH) for one in named]
    short_phrases = [cut(_phrase(one, is_short=True), _PHRASE_LENGTH) for one in named]
    subject = _subject(first, count, noun, phrases, digest.covered_counts)
    marks = {
        "level": digest.level.name,
        "message_count": count,
        "phrases": phrases,
        "short_phrases": short_phrases,
        "covered_counts": list(digest.covered_counts),
        "is_demo": first.get("demo") == "true",
        "head": head(first),
        "noun": noun,
    }
    return {
        **facts,
        "alert_id": digest.id,
        "incident_id": digest.id,
        DIGEST_ID: digest.id,
        "change_count": str(count),
        WORST: json.dumps(marks),
        SUBJECT: subject,
        BODY: "\n".join(_lines(digest, worst, subject, noun)),
    }


def _subject(
    first: Mapping[str, str],
    count: int,
    noun: str,
    phrases: Sequence[str],
    covered_counts: Sequence[int],
) -> str:
    """As many of the worst as fit."""
    begin = f"{f'{DEMO} ' if first.get('demo') == 'true' else ''}{head(first)}: {count:,} {noun}: "
    texts = []
    for size in range(len(phrases), 0, -1):
        more = count - covered_counts[size - 1]
        rest = f"; and {more:,} more" if more else ""
        texts.append(begin + "; ".join(phrases[:size]) + rest)
    return cut(
        next((one for one in texts if len(one) <= SUBJECT_LENGTH), texts[-1]), SUBJECT_LENGTH
    )


def _phrase(payload: Mapping[str, str], *, is_short: bool = False) -> str:
    """One change in few words; `is_short`: without the wallet."""
    wallet = f" ({payload['wallet']})" if payload.get("wallet") and not is_short else ""
    far = payload.get("liquidation_distance_percent")
    if payload["event"] != RAISED or not far or "estimated_value" in payload:
        return f"{matter(payload)}{wallet}"
    percent = short(abs(float(far)), "%")
    named = f"{about(payload.get('asset', ''), payload.get('side', ''))}{wallet}"
    if float(far) <= 0:
        return f"{named} PAST LIQUIDATION by {percent}"
    return f"{named} {percent} to liquidation"


def _lines(
    digest: Digest, worst: Sequence[Mapping[str, str]], subject: str, noun: str
) -> list[str]:
    first, count = worst[0], len(digest.members)
    levels = ", ".join(f"{size:,} {level.name}" for level, size in digest.level_counts)
    is_raised = first["event"] == RAISED
    of_levels = f" ({levels})" if is_raised else ""
    rest = count - len(worst)
    return [
        subject,
        "",
        f"{count:,} {noun} at once{of_levels}, the worst first:",
        *(cut(f"- {_line(one)}", _LINE_LENGTH) for one in worst),
        *([f"... and {rest:,} more"] if rest > 0 else []),
        *([f"What to do: {first['action']}"] if first.get("action") else []),
        f"All: sonic ledger list --digest {digest.id}, GET /v1/ledger?digest_id={digest.id}",
    ]


def _line(payload: Mapping[str, str]) -> str:
    wallet = f" ({payload['wallet']})" if payload.get("wallet") else ""
    far = distance(payload) if payload["event"] == RAISED else ""
    return f"{head(payload)}: {matter(payload)}{wallet}" + (f". {far}" if far else "")
