"""One message in the place of several: the worst three in words, the first twenty by line. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.xcom.domain.messages import Level
from services.xcom.domain.phrases import DEMO, about, far, joined, phrase, to_do
from services.xcom.domain.worst import Worst

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
    """What is sent instead; `worst` is for channels with little room."""

    level: Level
    subject: str
    body: str
    facts: Mapping[str, str]
    worst: Worst


def digest_of(count: int, members: Sequence[Member], is_demo: bool) -> Digest:
    """One message for `count` of them; `members` are the most urgent, worst first."""
    level = members[0].level
    worst = _worst(count, members, is_demo)
    listed = [f"- {_line(member)}" for member in members[:_LISTED_COUNT]]
    if count > len(listed):
        listed.append(f"... and {count - len(listed)} more")
    facts = {"message_count": str(count)}
    if is_demo:
        facts["demo"] = "true"
    first = f"{f'{DEMO}: ' if is_demo else ''}{count} messages, the worst first:"
    body = "\n".join((first, *listed))
    return Digest(level, worst.within(_SUBJECT_LENGTH), body, facts, worst)


def _worst(count: int, members: Sequence[Member], is_demo: bool) -> Worst:
    """One phrase a position, of which there may be several messages."""
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
