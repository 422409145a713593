"""Answers of the price providers, with invented numbers, as of the tests' moment."""

from __future__ import annotations

from typing import Any

NOW_SECOND = 1_795_215_600  # 2026-11-20 23:00:00 UTC
COINGECKO_PATH = "GET /api/v3/simple/price"
PYTH_PATH = "GET /v2/updates/price/latest"

COINGECKO: dict[str, Any] = {
    "bitcoin": {"usd": 97_401.0, "last_updated_at": NOW_SECOND - 41},
    "ethereum": {"usd": 3_380.77, "last_updated_at": NOW_SECOND - 38},
    "solana": {"usd": 182.35, "last_updated_at": NOW_SECOND - 40},
}
_FEEDS = {
    "e62df6c8b4a85fe1a67db44dc12de5db330f7ac66b72dc658afedf0f4a415b43": ("9741188450001", "3118220011"),
    "ff61491a931112ddf1bd8147cd1b641375f79f5825126d665480874634fd0ace": ("338121990000", "181182200"),
    "ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d": ("18240311000", "9118220"),
}
PYTH: dict[str, Any] = {
    "binary": {"encoding": "hex", "data": ["504e4155"]},
    "parsed": [
        {"id": id, "price": {"price": price, "conf": conf, "expo": -8, "publish_time": NOW_SECOND - 1}}
        for id, (price, conf) in _FEEDS.items()
    ],
}


def coin(usd: object, last_updated_at: object = NOW_SECOND - 10) -> dict[str, Any]:
    """CoinGecko's answer for one coin."""
    return {"bitcoin": {"usd": usd, "last_updated_at": last_updated_at}}


def coins(second: int, factor: float = 1.0) -> dict[str, Any]:
    """CoinGecko's answer at another moment, all prices times a factor."""
    return {id: {"usd": one["usd"] * factor, "last_updated_at": second} for id, one in COINGECKO.items()}


def feed(**changed: object) -> dict[str, Any]:
    """Pyth's answer for BTC with some members of its price replaced."""
    first = PYTH["parsed"][0]
    return {"parsed": [{"id": first["id"], "price": {**first["price"], **changed}}]}


def feeds(second: int, factor: float = 1.0) -> dict[str, Any]:
    """Pyth's answer at another moment, all prices times a factor."""
    parsed = []
    for one in PYTH["parsed"]:
        price = str(round(int(one["price"]["price"]) * factor))
        parsed.append({"id": one["id"], "price": {**one["price"], "price": price, "publish_time": second}})
    return {"parsed": parsed}
