"""The worst of several messages in few words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.xcom.domain.fitting import cut
from services.xcom.domain.phrases import DEMO


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst of a group in words. `covered_counts`: messages about the first, the first two,
    ...; `noun`: what the group is of, `head`: the first word, by default the level.
    """

    level: str
    message_count: int
    phrases: Sequence[str]
    short_phrases: Sequence[str]
    covered_counts: Sequence[int]
    is_demo: bool = False
    noun: str = "messages"
    head: str = ""

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
        return [
            f"{self.message_count} {self.noun}",
            *self.phrases,
            f"and {more} more" if more else "",
        ]

    def _head(self) -> str:
        demo, head = f"{DEMO} " if self.is_demo else "", self.head or self.level
        return f"{demo}{head}: {self.message_count} {self.noun}: "

    def _rest(self, count: int) -> str:
        more = self.message_count - self.covered_counts[count - 1]
        return f"; and {more} more" if more else ""
