"""Who of the chain is notified next, however people changed it while it was under way. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.xcom.domain.messages import Delivery, DeliveryReason
from services.xcom.domain.settings import Contact, Route


@dataclass(frozen=True, slots=True)
class Reachable:
    """A contact, where in the chain, and the routes by which it can be notified now; none: it
    cannot.
    """

    place: int
    contact: Contact
    routes: Sequence[Route]


def left_to_notify(
    chain: Sequence[Reachable], step: int, deliveries: Sequence[Delivery]
) -> list[Reachable]:
    """Those still to be notified, in order. `step`: so many places of the chain were passed;
    `deliveries`: of the message, by which people were notified.

    Places alone say nothing of a chain that was changed since: whoever moved to one that was
    passed, or has another address by now, is notified all the same, and nobody for his place alone
    a second time.
    """
    used = {Route(one.channel, one.address) for one in deliveries}
    told = {one.contact for one in deliveries if one.reason is DeliveryReason.ESCALATION}
    return [
        one
        for one in chain
        if one.routes
        and (
            not used.issuperset(one.routes) or (one.place >= step and one.contact.name not in told)
        )
    ]
