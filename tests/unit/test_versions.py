"""What differs between versions, and how many are listed at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from shared.paging import PageRequest
from shared.versions.domain import Content, Kind, SettingChange, Version, differences
from shared.versions.service import Versions

KIND = Kind("setting", "settings", ("size",))


class Counted(Mapping[str, Any]):
    """Fields that know how often one was looked at."""

    def __init__(self, size: int) -> None:
        self.size, self.looks = size, 0

    def __getitem__(self, name: str) -> int:
        self.looks += 1
        return {"size": self.size}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("size",))

    def __len__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counted) and other.size == self.size

    __hash__ = None  # type: ignore[assignment]


def test_settings_that_are_the_same_are_not_compared_field_by_field() -> None:
    before, after = ({f"{n}": Counted(n) for n in range(9)} for _ in range(2))
    after["4"] = Counted(5)
    assert differences(KIND, before, after) == [SettingChange("4", "size", "4", "5")]
    assert sum(one.looks for one in (*before.values(), *after.values())) == 2


class Kept:
    """Versions without end, each with one setting more."""

    async def page(self, page: PageRequest) -> list[Version]:
        numbers = range(900, 900 - page.size - 1, -1)
        return [
            Version(n, datetime(2026, 11, 30, tzinfo=UTC), "", "CHANGED", _content(n))
            for n in numbers
        ]


def _content(number: int) -> Content:
    return {"only": {"size": number}}


async def test_a_page_has_fifty_at_most_and_each_says_what_it_changed() -> None:
    page = await Versions(KIND, 0).list(Kept(), 500, "")  # type: ignore[arg-type]
    assert [one.number for one in page.rows] == list(range(900, 850, -1))
    assert page.next_page_token
    for one in page.rows:
        change = SettingChange("only", "size", str(one.number - 1), str(one.number))
        assert one.changes == [change]
