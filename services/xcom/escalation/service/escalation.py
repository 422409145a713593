"""Use cases of escalation: the chain, who is notified next, and how people say that they heard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

from services.xcom.channels.service.configured_channels import (
    ConfiguredChannels,
    refuse_bad_destination,
)
from services.xcom.channels.service.versions import KeptSettings
from services.xcom.domain.messages import (
    UNSURE,
    DeliveryReason,
    DeliveryState,
    Level,
    Message,
)
from services.xcom.domain.settings import CHAIN, Chain, Contact, Route
from services.xcom.escalation.domain.chain import Reachable, left_to_notify
from services.xcom.escalation.domain.incidents import (
    ACKNOWLEDGED_FOR,
    LONGEST_QUIET,
    Acknowledgement,
    IncidentAction,
    IncidentUpdate,
)
from services.xcom.escalation.service.links import token_hash
from services.xcom.escalation.service.recalls import call_back, end_incidents
from services.xcom.senders.channel import Channel
from services.xcom.store.enqueue import ExtraDelivery
from services.xcom.store.escalation import Carried, EscalationStore, StoredLink
from shared.clock import Clock
from shared.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from shared.log import get_logger
from shared.names import choose, new_id

Begin = Callable[[], AbstractAsyncContextManager[EscalationStore]]

_LINK_SNOOZE = timedelta(minutes=15)
_BY_LINK = "link"
_ADDRESS = "escalation_chain.contacts.routes.address"
_PAGE_COUNT, _MOST_COUNT = 50, 500


class LinkAction(IntEnum):
    """What using a link does; the numbers are those of the protocol."""

    ACKNOWLEDGE = 1
    SNOOZE = 2


@dataclass(frozen=True, slots=True)
class ShownChain:
    """The chain with masked addresses."""

    chain: Chain
    etag: str


@dataclass(frozen=True, slots=True)
class ShownLink:
    """A link with the message it leads to."""

    link: StoredLink
    message: Message


class EscalationService:
    """HIGH that nobody acknowledges goes to the next contact."""

    def __init__(
        self,
        begin: Begin,
        channels: Mapping[str, Channel],
        escalation_wait: timedelta,
        poll_seconds: float,
        kept: KeptSettings,
        clock: Clock,
    ) -> None:
        self._kept = kept
        self._begin = begin
        self._escalation_wait = escalation_wait
        self._channels = channels
        self._poll_seconds = poll_seconds
        self._clock = clock

    async def chain(self) -> ShownChain:
        """The chain as it may be shown."""
        async with self._begin() as store:
            settings = await store.settings()
        return ShownChain(self._masked(settings.chain), settings.etag(CHAIN))

    async def update_chain(self, wanted: Chain, etag: str) -> ShownChain:
        """Replace it.

        InvalidArgument UNKNOWN_NAME, INVALID_FIELD, DESTINATION_REFUSED; Conflict ETAG_MISMATCH.
        """
        names = [contact.name for contact in wanted.contacts]
        if len(set(names)) < len(names):
            raise InvalidArgument(
                "INVALID_FIELD",
                "names of contacts must differ",
                fields={"escalation_chain.contacts": "each name once"},
            )
        async with self._begin() as store:
            kept = (await store.settings()).chain
        # Resolving a name takes time: no transaction is open meanwhile.
        chain = Chain(tuple([await self._checked(contact, kept) for contact in wanted.contacts]))
        async with self._begin() as store:
            async with self._kept.edit(store, "CHANGED"):
                if not await store.put_chain(chain, etag, self._clock.now()):
                    raise Conflict("ETAG_MISMATCH", "the chain was changed meanwhile")
            settings = await store.settings()
        return ShownChain(self._masked(settings.chain), settings.etag(CHAIN))

    async def acknowledge(self, id: str, by: str, snooze: timedelta | None) -> Message:
        """Stop the escalation, or put it off. NotFound MESSAGE_NOT_FOUND."""
        async with self._begin() as store:
            return await self.acknowledge_in(store, id, by, snooze)

    async def settle(
        self,
        incident_key: str,
        action: IncidentAction,
        level: Level,
        until: datetime | None,
        by: str,
    ) -> None:
        """What was said to its source elsewhere; nothing of it goes back there."""
        now = self._clock.now()
        until = min(until or now + ACKNOWLEDGED_FOR, now + LONGEST_QUIET)
        async with self._begin() as store:
            if action is IncidentAction.END:
                await end_incidents(store, [incident_key], now)
            elif action is IncidentAction.RELEASE:
                await self._release(store, incident_key, now)
            else:
                snooze = action is IncidentAction.SNOOZE
                await _apply(
                    store, IncidentUpdate(incident_key, level, by, now, until, is_snooze=snooze)
                )

    async def acknowledgements(
        self, source: str, after: int, size: int
    ) -> tuple[list[Acknowledgement], int]:
        """What was said here of the incidents of a source, and the last number of all."""
        async with self._begin() as store:
            last = await store.last_sequence()
            return await store.acknowledgements(
                source, after, min(size or _PAGE_COUNT, _MOST_COUNT)
            ), last

    async def _release(self, store: EscalationStore, incident_key: str, now: datetime) -> None:
        """The newest message goes on where it was stopped, after the time those before have."""
        await store.hold_incidents([incident_key])
        halted = await store.release_incident(incident_key)
        if halted is None:
            return
        left = (await store.settings()).chain.contacts[halted.step :]
        wait = timedelta(seconds=left[0].wait_seconds) if left else self._escalation_wait
        await store.resume(halted.message_id, now + wait)

    async def preview(self, token: str) -> ShownLink:
        """What the link leads to; changes nothing."""
        now = self._clock.now()
        async with self._begin() as store:
            return await self._shown(store, token, now)

    async def use(self, token: str, action: LinkAction, snooze: timedelta | None) -> ShownLink:
        """Use the link, once. NotFound LINK_NOT_FOUND, FailedPrecondition LINK_EXPIRED,
        LINK_USED."""
        now = self._clock.now()
        wait = (snooze or _LINK_SNOOZE) if action is LinkAction.SNOOZE else None
        async with self._begin() as store:
            shown = await self._shown(store, token, now)
            if not await store.use_link(token_hash(token), now):
                raise FailedPrecondition("LINK_USED", "this link was used before")
            message = await self.acknowledge_in(store, shown.link.message_id, _BY_LINK, wait)
        return ShownLink(replace(shown.link, used_time=now), message)

    async def turn(self) -> float:
        """Notify the next contact of every message that is due; the seconds until the next look."""
        now = self._clock.now()
        async with self._begin() as store:
            next_time = await store.next_due(now)
            if next_time is not None and next_time <= now:
                due = await store.due(now)
                configured = ConfiguredChannels(self._channels, await store.settings())
                for message in due:
                    await self._escalate(store, configured, message, now)
                next_time = await store.next_due(now)
        if next_time is None:
            return self._poll_seconds
        return min(max((next_time - self._clock.now()).total_seconds(), 0.1), self._poll_seconds)

    async def _escalate(
        self,
        store: EscalationStore,
        configured: ConfiguredChannels,
        message: Message,
        now: datetime,
    ) -> None:
        configured = configured.fit_for(message.facts)
        contacts = configured.settings.chain.contacts
        chain = [
            Reachable(place, one, configured.usable(one.routes))
            for place, one in enumerate(contacts)
        ]
        left = left_to_notify(chain, message.escalation_step, message.deliveries)
        for one in chain[message.escalation_step : left[0].place if left else None]:
            if not one.routes:
                # Nobody waits for one who cannot be reached.
                get_logger().error(
                    "contact cannot be reached", message_id=message.id, step=one.place + 1
                )
        if not left:
            await self._last(store, configured, message, now)
            return
        chosen, *later = left
        extras = [await self._extra(store, message.id, route, now) for route in chosen.routes]
        await store.queue(extras, DeliveryReason.ESCALATION, chosen.contact.name, now)
        step = max(message.escalation_step, chosen.place + 1)
        get_logger().warning("not acknowledged: next contact", message_id=message.id, step=step)
        # One more look after the last contact: somebody must have been reached by then.
        waits_for = later[0].contact if later else contacts[-1]
        await store.step(message.id, step, now + timedelta(seconds=waits_for.wait_seconds))

    async def _last(
        self,
        store: EscalationStore,
        configured: ConfiguredChannels,
        message: Message,
        now: datetime,
    ) -> None:
        """Nobody is left to be notified: every other channel; without contacts only if it reached
        nobody.
        """
        sure = [
            one for one in message.deliveries if one.channel not in UNSURE
        ] or message.deliveries
        reached = any(one.state is DeliveryState.SENT for one in sure)
        if message.escalation_step or not reached:
            used = {Route(one.channel, one.address) for one in message.deliveries}
            unused = [one for one in configured.everywhere() if one not in used]
            extras = [
                ExtraDelivery(new_id("dlv"), message.id, one.channel, now, one.address)
                for one in unused
            ]
            if extras:
                await store.queue(extras, DeliveryReason.FALLBACK, "", now)
        get_logger().error("not acknowledged by anybody", message_id=message.id)
        await store.step(message.id, message.escalation_step, None)

    async def _extra(
        self, store: EscalationStore, message_id: str, route: Route, now: datetime
    ) -> ExtraDelivery:
        cooldown = timedelta(seconds=self._channels[route.channel].cooldown_seconds)
        last = await store.last_sent(route.channel, route.address, now) if cooldown else None
        due_time = max(now, last + cooldown) if last is not None else now
        return ExtraDelivery(new_id("dlv"), message_id, route.channel, due_time, route.address)

    async def acknowledge_in(
        self, store: EscalationStore, id: str, by: str, snooze: timedelta | None
    ) -> Message:
        """`acknowledge`, as a part of something else."""
        now = self._clock.now()
        message = await store.message(id)
        if message is None:
            raise NotFound("MESSAGE_NOT_FOUND", f"no message {id[:60]!r}")
        itself = Carried(message.id, message.incident_key, message.level)
        for one in [itself, *await store.carried(id)]:
            until = now + (ACKNOWLEDGED_FOR if snooze is None else snooze)
            is_snooze = snooze is not None
            update = IncidentUpdate(one.incident_key, one.level, by, now, until, is_snooze)
            await store.quieten(one.id, update)
            if one.incident_key:
                await _apply(store, update)
                await store.record_update(update)
        await call_back(store, await store.waiting_of([message.id]), now)
        return await store.message(id) or message

    async def _shown(self, store: EscalationStore, token: str, now: datetime) -> ShownLink:
        link = await store.link(token_hash(token))
        message = await store.message(link.message_id) if link else None
        if link is None or message is None:
            raise NotFound("LINK_NOT_FOUND", "no such link")
        if link.expires_time <= now:
            raise FailedPrecondition("LINK_EXPIRED", "this link is too old")
        return ShownLink(link, message)

    async def _checked(self, contact: Contact, kept: Chain) -> Contact:
        # Of two that look the same the order says which is which.
        known = [route for one in kept.contacts if one.name == contact.name for route in one.routes]
        routes = []
        for place, route in enumerate(contact.routes):
            name = choose(
                route.channel, self._channels, field="escalation_chain.contacts.routes.channel"
            )
            masked = self._channels[name].masked
            before = [
                one
                for one in known
                if one.channel == name and one.address and masked(one.address) == route.address
            ]
            if len(before) > contact.routes[place:].count(route):
                problem = f"more than one of {contact.name} looks like it: give the whole address"
                raise InvalidArgument("DESTINATION_REFUSED", problem, fields={_ADDRESS: problem})
            if before:
                known.remove(before[0])
                routes.append(before[0])
                continue
            if route.address:
                await refuse_bad_destination(self._channels[name], route.address, _ADDRESS)
            routes.append(Route(name, route.address))
        return replace(contact, routes=tuple(dict.fromkeys(routes)))

    def _masked(self, chain: Chain) -> Chain:
        def shown(route: Route) -> Route:
            channel = self._channels.get(route.channel)
            address = channel.masked(route.address) if channel and route.address else ""
            return replace(route, address=address)

        contacts = (replace(one, routes=tuple(map(shown, one.routes))) for one in chain.contacts)
        return Chain(tuple(contacts))


async def _apply(store: EscalationStore, update: IncidentUpdate) -> None:
    """What waits of it calls nobody, and goes to nobody else."""
    ids = await store.hold_incidents([update.incident_key])
    await store.quieten_incident(update)
    await call_back(store, await store.waiting_of(ids), update.now)
