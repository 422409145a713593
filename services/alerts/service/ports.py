"""What the use cases need of others: positions to judge, somebody who notifies people."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.ends import PositionEnd
from services.alerts.alerts.domain.readings import Positions, Reading
from services.alerts.alerts.domain.subjects import Members
from services.alerts.domain.kinds import AlertType
from services.alerts.notifications.domain import Acknowledgement, IncidentUpdate, Notification
from shared.errors import SonicError

# The membership epoch, and the keys of positions and accounts.
Present = tuple[int, NDArray[np.int64]]


class PositionsPeer(Protocol):
    """The positions service. Every method raises Unavailable POSITIONS_UNAVAILABLE."""

    async def figures(self) -> Positions:
        """What is held now."""
        ...

    async def readings(
        self, extremes_since_micros: int = 0
    ) -> tuple[Positions, Mapping[AlertType, Reading]]:
        """What is held now, and the portfolio readings of the same pass by type; with the extremes
        since a moment, unless that is 0.
        """
        ...

    async def members(self) -> Members:
        """Who is held."""
        ...

    async def members_since(
        self, known_epoch: int, known_keys: NDArray[np.int64]
    ) -> Members | None:
        """Who is held; None when the membership epoch still is `known_epoch`. Those of
        `known_keys`, ascending, may be left out.
        """
        ...

    async def present(self) -> Present:
        """Who is not closed."""
        ...

    async def present_since(self, known_epoch: int) -> Present | None:
        """Who is not closed; None when the membership epoch still is `known_epoch`."""
        ...

    async def ends(self, position_ids: Collection[str]) -> Mapping[str, PositionEnd]:
        """How these ended, of the first 200 of them."""
        ...

    async def has(self, position_id: str) -> bool:
        """Whether it is a position's id, a closed one's too."""
        ...

    async def is_demo(self) -> bool:
        """Whether positions are simulated."""
        ...


class Notifier(Protocol):
    """The notification service."""

    async def channels(self) -> Collection[str]:
        """Names of every channel, set up or not; XCOM_UNAVAILABLE."""
        ...

    async def notify(
        self, notifications: Sequence[Notification], seconds: float
    ) -> Sequence[SonicError | None]:
        """In this order, within so many seconds. Of each None when it is durably accepted;
        XCOM_UNAVAILABLE when it may not be, another error when it is refused.
        """
        ...

    async def update_incident(self, update: IncidentUpdate, seconds: float) -> None:
        """What is not for people, within so many seconds; XCOM_UNAVAILABLE, else SonicError:
        refused.
        """
        ...


class AcknowledgementSource(Protocol):
    """What people said to the notification service."""

    async def acknowledgements(self, after_sequence: int) -> tuple[Sequence[Acknowledgement], int]:
        """A page of what came later, oldest first, and the last number; XCOM_UNAVAILABLE."""
        ...
