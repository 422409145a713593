"""Decisions as a history: what is asked of it, what is told of it, when it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.withdrawals.decisions.domain.record import DecisionRecord


class Timetable(NamedTuple):
    """When evaluations run by themselves; 0 seconds: never."""

    interval_seconds: float
    next_time: datetime | None
    revision: int


class AssetState(NamedTuple):
    """What an evaluation knows of an asset before it judges it: price mismatches in a row, and the
    version of what people gave.
    """

    mismatch_count: int = 0
    input_version: int = 1


@dataclass(frozen=True, slots=True)
class News:
    """A claimed row of the outbox: a decision, and the value before it (None: the first)."""

    record: DecisionRecord
    previous_value: int | None
    tries: int

    @property
    def request_id(self) -> str:
        """The same at every try."""
        return f"withdrawals-{self.record.id}"


class Refused(NamedTuple):
    """A change of advice that was refused, with the reason: nobody is told of it."""

    asset: str
    refusal: str


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions; empty or None: any."""

    asset: str = ""
    value: int | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
