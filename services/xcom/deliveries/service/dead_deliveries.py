"""Use cases of deliveries that are given up: who hears the message instead, and that it died."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from services.xcom.channels.service.configured_channels import ConfiguredChannels
from services.xcom.deliveries.domain.dead_deliveries import (
    NOTICE_WINDOW,
    FailedMessage,
    failure_notice,
    reason_of,
)
from services.xcom.domain.messages import (
    LAST_RESORT,
    OWN_SOURCE,
    UNSURE,
    ChannelsReason,
    Choice,
    DeliveryAttempt,
    DeliveryReason,
    Draft,
    Level,
)
from services.xcom.domain.settings import Route
from services.xcom.escalation.domain.incidents import Recipient
from services.xcom.messages.service.drafts import message_of
from services.xcom.senders.channel import Channel, is_own
from services.xcom.store.dead_deliveries import DeadDeliveryStore
from services.xcom.store.enqueue import ExtraDelivery
from services.xcom.store.queue import Receipt
from services.xcom.store.settings import parsed
from shared.names import new_id


class DeadDeliveries:
    """What dies on one route goes on by every other; with none left it does not rest for ever."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = channels

    def concern(self, attempt: DeliveryAttempt) -> bool:
        """Whether anything follows from the death of this one."""
        return attempt.level >= Level.MEDIUM

    async def follow(self, store: DeadDeliveryStore, receipt: Receipt) -> None:
        """In the transaction that wrote the death down, after `hold`."""
        attempt, now = receipt.attempt, receipt.now
        stored = await store.stored_settings()
        configured = ConfiguredChannels(self._channels, parsed(stored)).fit_for(attempt.facts)
        failed_messages = await store.failed_messages(attempt.delivery_id, now)
        if attempt.channel in UNSURE:
            # A room where nobody is: only what reaches nobody by another way goes further.
            failed_messages = [one for one in failed_messages if not one.lives]
        for failed in failed_messages:
            # While there is somebody left to be called in turn, contacts are not called at once.
            in_turn = receipt.answer.unanswered and failed.escalates
            await self._fall_back(store, configured, failed, now, in_turn=in_turn)
        if receipt.answer.unanswered:
            # It was delivered as far as a channel can.
            return
        to_notify = [one for one in failed_messages if one.needs_notice]
        # What was tried anew and died again was notified when it died first.
        if (
            to_notify
            and attempt.channel not in UNSURE
            and attempt.try_number == attempt.fresh_try_number
        ):
            await self._notify(store, configured, stored, to_notify, receipt)

    async def _fall_back(
        self,
        store: DeadDeliveryStore,
        configured: ConfiguredChannels,
        failed: FailedMessage,
        now: datetime,
        *,
        in_turn: bool,
    ) -> None:
        """By every other way at once; with no other left, by all of them again,
        ever more rarely."""
        contacts = configured.settings.chain.contacts
        fallbacks = failed.fallbacks(
            configured.everywhere(),
            () if in_turn else configured.contact_routes(),
        )
        sure = [route for route in fallbacks if route.channel not in UNSURE]
        rest = failed.rest(now)
        if rest is not None and not failed.lives and not sure:
            await store.revive(failed.id, now + rest)
            if failed.level is Level.HIGH and not any(
                one.route.channel == LAST_RESORT for one in failed.siblings
            ):
                fallbacks = [*fallbacks, Route(LAST_RESORT)]
        names = {route: one.name for one in reversed(contacts) for route in one.routes}
        for route in dict.fromkeys(fallbacks):
            extra = ExtraDelivery(new_id("dlv"), failed.id, route.channel, now, route.address)
            reason = DeliveryReason.ESCALATION if route in names else DeliveryReason.FALLBACK
            await store.queue([extra], reason, names.get(route, ""), now)
        if fallbacks and contacts and failed.level is Level.HIGH and not in_turn:
            wait = timedelta(seconds=contacts[-1].wait_seconds)
            await store.all_notified(failed.id, len(contacts), now + wait)

    async def _notify(
        self,
        store: DeadDeliveryStore,
        configured: ConfiguredChannels,
        stored: str | None,
        failed_messages: Sequence[FailedMessage],
        receipt: Receipt,
    ) -> None:
        """Once a route and reason within the window, to everybody but the dead one; by itself no
        alert.
        """
        attempt, answer = receipt.attempt, receipt.answer
        own = configured.address(attempt.channel)
        dead = Route(attempt.channel, attempt.address if attempt.address != own else "")
        loud = any(one.level >= Level.HIGH for one in failed_messages)
        contacts = configured.settings.chain.contacts if loud else ()
        everybody = [
            *map(Recipient, configured.everywhere()),
            *(
                Recipient(route, contact.name)
                for contact in contacts
                for route in configured.usable(contact.routes)
            ),
        ]
        recipients = [one for one in everybody if one.route != dead]
        shown = self._channels[attempt.channel].shown
        name = attempt.contact or (shown(attempt.address) if is_own(attempt.address) else "")
        way = f"{attempt.channel} ({name})" if name else attempt.channel
        subject, body = failure_notice(
            failed_messages, way, answer, attempt.reason, bool(recipients)
        )
        draft = Draft(
            request_id=new_id("death"),
            level=Level.HIGH if loud else Level.MEDIUM,
            subject=subject[:300],
            body=body,
            source=OWN_SOURCE,
            dedupe_key=f"dead {dead.channel} {dead.address} {reason_of(answer)}"[:200],
            facts={"channel": attempt.channel, "delivery_id": attempt.delivery_id},
        )
        choice = Choice((), ChannelsReason.DELIVERY_DEAD)
        recipients = recipients or [Recipient(Route(LAST_RESORT))]
        message = message_of(draft, choice, recipients, receipt.now)
        # With no sender: every worker is woken, those of this process too.
        await store.accept(draft, message, stored, NOTICE_WINDOW, "")
