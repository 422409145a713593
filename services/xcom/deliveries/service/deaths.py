"""Use cases of deliveries that are given up: who hears the message instead, and that it died."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from services.xcom.channels.service.configured_channels import ConfiguredChannels
from services.xcom.deliveries.domain.deaths import NOTICE_WINDOW, Victim, obituary, reason_of
from services.xcom.domain.messages import (
    LAST_RESORT,
    UNSURE,
    ChannelsReason,
    Choice,
    DeliveryReason,
    Draft,
    Letter,
    Level,
    everywhere,
)
from services.xcom.domain.settings import Route
from services.xcom.escalation.domain.incidents import Heard
from services.xcom.messages.service.messages import message_of
from services.xcom.senders.channel import Channel, is_own
from services.xcom.store.deaths import DeathStore
from services.xcom.store.enqueue import Extra
from services.xcom.store.queue import Receipt
from services.xcom.store.settings import parsed
from shared.names import new_id

_SOURCE = "xcom"


class Deaths:
    """What dies on one way goes on by every other; with none left it does not rest for ever."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = channels

    def concern(self, letter: Letter) -> bool:
        """Whether anything follows from the death of this one."""
        return letter.level >= Level.MEDIUM

    async def follow(self, store: DeathStore, receipt: Receipt) -> None:
        """In the transaction that wrote the death down, after `hold`."""
        letter, now = receipt.letter, receipt.now
        stored = await store.stored_settings()
        configured_channels = ConfiguredChannels(self._channels, parsed(stored))
        victims = await store.victims(letter.delivery_id, now)
        if letter.channel in UNSURE:
            # A room where nobody is: only what reaches nobody by another way goes further.
            victims = [one for one in victims if not one.lives]
        for victim in victims:
            await self._hand_on(store, configured_channels, victim, now)
        told = [one for one in victims if one.is_told]
        # What was tried anew and died again was told when it died first.
        if told and letter.channel not in UNSURE and letter.try_number == letter.fresh_try_number:
            await self._tell(store, configured_channels, stored, told, receipt)

    async def _hand_on(
        self,
        store: DeathStore,
        configured_channels: ConfiguredChannels,
        victim: Victim,
        now: datetime,
    ) -> None:
        """By every other way at once; with no other left, by all of them again,
        ever more rarely."""
        contacts = configured_channels.settings.chain.contacts
        heirs = victim.heirs(
            _ways(configured_channels),
            [route for one in contacts for route in configured_channels.usable(one.routes)],
        )
        sure = [way for way in heirs if way.channel not in UNSURE]
        rest = victim.rest(now)
        if rest is not None and not victim.lives and not sure:
            await store.revive(victim.id, now + rest)
            if victim.level is Level.HIGH and not any(
                one.route.channel == LAST_RESORT for one in victim.siblings
            ):
                heirs = [*heirs, Route(LAST_RESORT)]
        names = {route: one.name for one in reversed(contacts) for route in one.routes}
        for way in dict.fromkeys(heirs):
            extra = Extra(new_id("dlv"), victim.id, way.channel, now, way.address)
            reason = DeliveryReason.ESCALATION if way in names else DeliveryReason.FALLBACK
            await store.queue([extra], reason, names.get(way, ""), now)
        if heirs and contacts and victim.level is Level.HIGH:
            wait = timedelta(seconds=contacts[-1].wait_seconds)
            await store.all_told([victim.id], len(contacts), now + wait)

    async def _tell(
        self,
        store: DeathStore,
        configured_channels: ConfiguredChannels,
        stored: str | None,
        victims: Sequence[Victim],
        receipt: Receipt,
    ) -> None:
        """Once a way and reason within the window, to everybody but the dead one; by itself no
        alert.
        """
        letter, answer = receipt.letter, receipt.answer
        dead = Route(
            letter.channel,
            letter.address if letter.address != configured_channels.address(letter.channel) else "",
        )
        loud = any(one.level >= Level.HIGH for one in victims)
        heard = [Heard(way) for way in _ways(configured_channels) if way != dead]
        if loud:
            heard += [
                Heard(route, contact.name)
                for contact in configured_channels.settings.chain.contacts
                for route in configured_channels.usable(contact.routes)
                if route != dead
            ]
        named = (
            self._channels[letter.channel].shown(letter.address) if is_own(letter.address) else ""
        )
        named = letter.contact or named
        way = f"{letter.channel} ({named})" if named else letter.channel
        subject, body = obituary(victims, way, answer, letter.reason, bool(heard))
        draft = Draft(
            request_id=new_id("death"),
            level=Level.HIGH if loud else Level.MEDIUM,
            subject=subject[:300],
            body=body,
            source=_SOURCE,
            dedupe_key=f"dead {dead.channel} {dead.address} {reason_of(answer)}"[:200],
            facts={"channel": letter.channel, "delivery_id": letter.delivery_id},
        )
        choice = Choice((), ChannelsReason.DELIVERY_DEAD)
        message = message_of(draft, choice, heard or [Heard(Route(LAST_RESORT))], receipt.now)
        acceptance = await store.way_in(draft.dedupe_key)
        # Said by nobody's name: every worker is rung, those of this process too.
        await acceptance.accept(draft, message, stored, NOTICE_WINDOW, "")


def _ways(configured_channels: ConfiguredChannels) -> list[Route]:
    return configured_channels.ways(everywhere(configured_channels.configured()))
