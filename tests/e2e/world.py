"""The world outside the system: providers with freshly stamped bodies, a mailbox and a webhook."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tests.fakes.http_provider import HttpProvider
from tests.fakes.mail import FakeMailServer

MINTS = {
    "BTC": "3NZ9JMVBmGAqocybic2c7LQCJScmgsAZ6vQqTDzcqmJh",
    "ETH": "7vfCXTUXx5WJV5JADk17DUJ4ksgau7utNKj4b963voxs",
    "SOL": "So11111111111111111111111111111111111111112",
}
COINGECKO_IDS = {"BTC": "bitcoin", "ETH": "ethereum", "SOL": "solana"}
PYTH_IDS = {
    "BTC": "e62df6c8b4a85fe1a67db44dc12de5db330f7ac66b72dc658afedf0f4a415b43",
    "ETH": "ff61491a931112ddf1bd8147cd1b641375f79f5825126d665480874634fd0ace",
    "SOL": "ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d",
}
_VENUE = ("/jup/v1/positions", "/jup/v2/positions")
WEBHOOK_SECRET = "e2e-webhook-secret"
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58_address(chance: random.Random) -> str:
    """A random public address of 32 bytes."""
    number, text = int.from_bytes(b"\x01" + chance.randbytes(31), "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    return text


@dataclass
class Held:
    """A position as its venue knows it; USD."""

    key: str
    asset: str
    side: str
    entry: float
    size: float
    collateral: float
    liquidation: float

    @property
    def sign(self) -> int:
        return 1 if self.side == "long" else -1

    def pnl(self, mark: float) -> float:
        return self.sign * self.size / self.entry * (mark - self.entry)


@dataclass
class World:
    """Everything the system talks to. Change `marks` and `held`, then `publish`."""

    seed: int
    providers: HttpProvider
    webhook: HttpProvider
    mailbox: FakeMailServer
    version: str = "v2"
    marks: dict[str, float] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    # Seconds since 1970: what the providers stamp their answers with.
    seconds: Callable[[], float] = time.time

    def publish(self) -> None:
        """Answer with the present state, stamped now."""
        self.providers.forget()
        now = int(self.seconds())
        self._coingecko(now)
        self._pyth(now)
        rows = [
            self._row_v2(one, now) if self.version == "v2" else self._row_v1(one, now)
            for one in self.held
        ]
        self.providers.answer(
            f"GET /jup/{self.version}/positions",
            json={"count": len(rows), "dataList": rows or None},
        )
        if self.version == "v1":
            self.providers.answer(
                "GET /jup/v2/positions", json={"code": 404, "message": "gone"}, status=404
            )

    def die(self) -> None:
        """Every provider answers with an error."""
        self.providers.forget()
        self._down("/cg/api/v3/simple/price", "/pyth/v2/updates/price/latest", *_VENUE)

    def venue_dies(self) -> None:
        """The venue alone answers with an error."""
        self._down(*_VENUE)

    def _down(self, *routes: str) -> None:
        for route in routes:
            self.providers.answer(
                f"GET {route}",
                text="<html>down</html>",
                status=502,
                headers={"content-type": "text/html"},
            )

    def environment(self) -> dict[str, str]:
        """What points the system at this world."""
        return {
            "SONIC_LIVE": "1",
            "COINGECKO_URL": f"{self.providers.url}/cg",
            "PYTH_HERMES_URL": f"{self.providers.url}/pyth",
            "JUPITER_API_BASE": f"{self.providers.url}/jup",
            "JUPITER_API_VERSION": "auto",
            "WEBHOOK_URL": f"{self.webhook.url}/hook",
            "WEBHOOK_SECRET": WEBHOOK_SECRET,
            "SMTP_SERVER": self.mailbox.host,
            "SMTP_PORT": str(self.mailbox.port),
            "SMTP_DEFAULT_RECIPIENT": "holder@example.test",
        }

    def heard(self) -> list[dict[str, object]]:
        """Bodies the webhook received, in order."""
        return [json.loads(request.body) for request in self.webhook.asked("POST /hook")]

    def _coingecko(self, now: int) -> None:
        body = {
            COINGECKO_IDS[asset]: {"usd": price, "last_updated_at": now - 2}
            for asset, price in self.marks.items()
        }
        self.providers.answer("GET /cg/api/v3/simple/price", json=body)

    def _pyth(self, now: int) -> None:
        parsed = [
            {
                "id": PYTH_IDS[asset],
                "price": {
                    "price": str(round(price * 1e8)),
                    "conf": str(round(price * 1e8 / 5000)),
                    "expo": -8,
                    "publish_time": now - 1,
                },
                "ema_price": {"price": "1", "conf": "1", "expo": -8, "publish_time": now - 1},
            }
            for asset, price in self.marks.items()
        ]
        body = {"binary": {"encoding": "hex", "data": []}, "parsed": parsed}
        self.providers.answer("GET /pyth/v2/updates/price/latest", json=body)

    def _row_v2(self, one: Held, now: int) -> dict[str, object]:
        def micro(usd: float) -> str:
            return str(round(usd * 1e6))

        mark = self.marks[one.asset]
        pnl = one.pnl(mark)
        return {
            "asset": one.asset,
            "assetMint": MINTS[one.asset],
            "collateralMint": MINTS[one.asset],
            "positionPubkey": one.key,
            "side": one.side,
            "leverage": f"{one.size / one.collateral:.2f}",
            "sizeUsd": micro(one.size),
            "collateralUsd": micro(one.collateral),
            "valueUsd": micro(one.collateral + pnl - 2),
            "entryPriceUsd": micro(one.entry),
            "markPriceUsd": micro(mark),
            "liquidationPriceUsd": micro(one.liquidation),
            "openFeesUsd": micro(1),
            "closeFeesUsd": micro(1),
            "borrowFeesUsd": micro(0),
            "totalFeesUsd": micro(2),
            "pnlBeforeFeesUsd": micro(pnl),
            "pnlAfterFeesUsd": micro(pnl - 2),
            "createdTime": now - 86_400,
            "updatedTime": now - 600,
            "tpslRequests": [],
        }

    def _row_v1(self, one: Held, now: int) -> dict[str, object]:
        mark = self.marks[one.asset]
        pnl = one.pnl(mark)
        return {
            "positionPubkey": one.key,
            "marketMint": MINTS[one.asset],
            "collateralMint": MINTS[one.asset],
            "side": one.side,
            "leverage": f"{one.size / one.collateral:.2f}",
            "size": f"{one.size:.2f}",
            "collateral": f"{one.collateral:.2f}",
            "value": f"{one.collateral + pnl - 2:.2f}",
            "entryPrice": f"{one.entry:.6f}",
            "markPrice": f"{mark:.6f}",
            "liquidationPrice": f"{one.liquidation:.6f}",
            "openFeesUsd": "1.00",
            "closeFeesUsd": "1.00",
            "borrowFeesUsd": "0.00",
            "totalFeesUsd": "2.00",
            "pnlBeforeFeesUsd": f"{pnl:.2f}",
            "pnlAfterFeesUsd": f"{pnl - 2:.2f}",
            "createdTime": now - 86_400,
            "updatedTime": now - 600,
            "tpslRequests": {"tp": None, "sl": None},
        }


@asynccontextmanager
async def world(seed: int) -> AsyncIterator[World]:
    """A world on free ports."""
    async with AsyncExitStack() as stack:
        providers = await stack.enter_async_context(HttpProvider())
        webhook = await stack.enter_async_context(HttpProvider())
        webhook.answer("POST /hook", json={"ok": True})
        mailbox = await stack.enter_async_context(FakeMailServer())
        yield World(seed, providers, webhook, mailbox)
