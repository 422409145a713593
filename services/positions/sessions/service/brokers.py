"""Brokers: places outside the system where money lies. Nothing is asked of them."""

from collections.abc import Mapping
from dataclasses import replace

from services.positions.service.ports import Begin
from services.positions.service.sorting import ordered
from services.positions.sessions.domain import Broker
from services.positions.sessions.store.brokers import ORDERS
from services.positions.wallets.domain.addresses import refuse_secret
from shared import paging
from shared.clock import Clock
from shared.errors import AlreadyExists, NotFound, broken_rules
from shared.paging import Page

CHANGEABLE = ("image_path", "web_address", "total_holding_usd")
_MAX_NAME_LENGTH = 64


class BrokersService:
    """Use cases of brokers."""

    def __init__(self, begin: Begin, read: Begin, clock: Clock) -> None:
        self._begin = begin
        self._read = read
        self._clock = clock

    async def create(
        self, name: str, image_path: str, web_address: str, total_holding_usd: float | None
    ) -> Broker:
        """Raises BROKER_EXISTS, INVALID_FIELD, PRIVATE_KEY_REFUSED."""
        now = self._clock.now()
        fresh = Broker(name.strip(), image_path, web_address, total_holding_usd, now, now)
        _check(fresh)
        async with self._begin() as store:
            if not await store.brokers.create(fresh):
                raise AlreadyExists("BROKER_EXISTS", f"a broker named {fresh.name!r} exists")
        return fresh

    async def get(self, name: str) -> Broker:
        """Raises NotFound BROKER_NOT_FOUND."""
        async with self._read() as store:
            return _there(await store.brokers.find(name), name)

    async def list(self, order_by: str, page_size: int, page_token: str) -> Page[Broker]:
        """By default by name. Raises UNKNOWN_NAME, BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH."""
        order, descending = ordered(order_by or "name", list(ORDERS))
        context = paging.context("brokers", order, descending)
        request = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            rows = await store.brokers.page(request, order, descending=descending)
        return paging.cut(rows, request, context, lambda row: _key(row, order))

    async def update(self, name: str, values: Mapping[str, object]) -> Broker:
        """`values` by CHANGEABLE. Raises BROKER_NOT_FOUND, INVALID_FIELD, PRIVATE_KEY_REFUSED."""
        now = self._clock.now()
        async with self._begin() as store:
            found = _there(await store.brokers.find(name), name)
            changed = replace(found, updated_time=now, **values)  # type: ignore[arg-type]  # the servicer's kinds
            _check(changed)
            await store.brokers.change(name, {**values, "updated_time": now})
        return changed

    async def delete(self, name: str) -> None:
        """Raises NotFound BROKER_NOT_FOUND."""
        async with self._begin() as store:
            if not await store.brokers.delete(name):
                _there(None, name)


def _key(row: Broker, order: str) -> tuple[object, ...]:
    return (row.name,) if order == "name" else (getattr(row, order), row.name)


def _there(found: Broker | None, name: str) -> Broker:
    if found is None:
        raise NotFound("BROKER_NOT_FOUND", f"no broker is named {name[:60]!r}")
    return found


def _check(broker: Broker) -> None:
    for field in ("name", "image_path", "web_address"):
        refuse_secret(getattr(broker, field), f"broker.{field}")
    problems = {}
    if not 1 <= len(broker.name) <= _MAX_NAME_LENGTH:
        problems["name"] = f"1 to {_MAX_NAME_LENGTH} characters"
    if broker.web_address and not broker.web_address.startswith(("https://", "http://")):
        problems["web_address"] = "begins with https:// or http://"
    if broker.total_holding_usd is not None and broker.total_holding_usd < 0:
        problems["total_holding_usd"] = "0 or more"
    if problems:
        raise broken_rules("broker", problems)
