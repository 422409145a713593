"""One message in the place of several: the worst three in words, the first twenty by line. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.xcom.domain.fitting import cut
from services.xcom.domain.messages import DeliveryAttempt, DeliveryReason, Level
from services.xcom.domain.phrases import DEMO, about, far, joined, phrase, to_do

# Messages of a group that are read to find what is worst.
NAMED_COUNT = 200
_WORST_COUNT = 3
_LISTED_COUNT = 20
_SUBJECT_LENGTH = 250


@dataclass(frozen=True, slots=True)
class Member:
    """A message that a digest carries."""

    level: Level
    subject: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Digest:
    """What is sent instead; the facts hold the words of the worst,
    for channels with little room."""

    level: Level
    subject: str
    body: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst of a group in words. `covered_counts`: messages about the first, the first two,
    ..."""

    level: str
    message_count: int
    phrases: Sequence[str]
    short_phrases: Sequence[str]
    covered_counts: Sequence[int]
    is_demo: bool = False

    def within(self, room: int, head: str | None = None) -> str:
        """As many of the worst as fit, then `and n more`; the first is cut when it does not."""
        begin = self._head() if head is None else head
        for count in range(len(self.phrases), 0, -1):
            for phrases in (self.phrases, self.short_phrases):
                text = begin + "; ".join(phrases[:count]) + self._rest(count)
                if len(text) <= room:
                    return text
        rest = self._rest(1)
        return cut(begin + self.short_phrases[0], room - len(rest)) + rest

    def sentences(self) -> list[str]:
        """All of it, to be read aloud."""
        count = len(self.phrases)
        more = self.message_count - self.covered_counts[count - 1]
        return [f"{self.message_count} messages", *self.phrases, f"and {more} more" if more else ""]

    def _head(self) -> str:
        return f"{f'{DEMO} ' if self.is_demo else ''}{self.level}: {self.message_count} messages: "

    def _rest(self, count: int) -> str:
        more = self.message_count - self.covered_counts[count - 1]
        return f"; and {more} more" if more else ""


def digest_of(count: int, members: Sequence[Member], is_demo: bool) -> Digest:
    """One message for `count` of them; `members` are the most urgent, worst first."""
    level = members[0].level
    worst = _worst(count, members, is_demo)
    listed = [f"- {_line(member)}" for member in members[:_LISTED_COUNT]]
    if count > len(listed):
        listed.append(f"... and {count - len(listed)} more")
    facts = {"message_count": str(count), "worst": _dumped(worst)}
    if is_demo:
        facts["demo"] = "true"
    first = f"{f'{DEMO}: ' if is_demo else ''}{count} messages, the worst first:"
    return Digest(level, worst.within(_SUBJECT_LENGTH), "\n".join((first, *listed)), facts)


def worst_of(attempt: DeliveryAttempt) -> Worst | None:
    """The worst as a digest's facts hold them; None of any other message."""
    if attempt.reason is not DeliveryReason.DIGEST or "worst" not in attempt.facts:
        return None
    return Worst(**json.loads(attempt.facts["worst"]))


def _worst(count: int, members: Sequence[Member], is_demo: bool) -> Worst:
    """One phrase a position: it may be what several messages are about messages."""
    named: dict[str, Member] = {}
    keys = [_key(member) for member in members]
    for key, member in zip(keys, members, strict=True):
        named.setdefault(key, member)
    first = list(named)[:_WORST_COUNT]
    counts = [sum(key in first[: place + 1] for key in keys) for place in range(len(first))]
    texts = [(named[key].subject, named[key].facts) for key in first]
    return Worst(
        level=members[0].level.name,
        message_count=count,
        phrases=[phrase(subject, facts) for subject, facts in texts],
        short_phrases=[phrase(subject, facts, short=True) for subject, facts in texts],
        covered_counts=counts,
        is_demo=is_demo,
    )


def _key(member: Member) -> str:
    if not far(member.facts):
        return member.subject
    return (
        f"{about(member.facts)} {member.facts.get('position_id') or member.facts.get('wallet', '')}"
    )


def _line(member: Member) -> str:
    distance = far(member.facts)
    return joined([member.subject, distance, to_do(member.facts) if distance else ""], ". ")


def _dumped(worst: Worst) -> str:
    fields = {name: getattr(worst, name) for name in Worst.__slots__}
    return json.dumps(fields, ensure_ascii=False)
