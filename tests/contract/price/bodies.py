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
    "e62df6c8b4a85fe1a67db44dc12de5db330f7ac66b72dc658afedf0f4a415b43": (
        "9741188450001",
        "3118220011",
    ),
    "ff61491a931112ddf1bd8147cd1b641375f79f5825126d665480874634fd0ace": (
        "338121990000",
        "181182200",
    ),
    "ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d": ("18240311000", "9118220"),
}
PYTH: dict[str, Any] = {
    "binary": {"encoding": "hex", "data": ["504e4155"]},
    "parsed": [
        {
            "id": id,
            "price": {"price": price, "conf": conf, "expo": -8, "publish_time": NOW_SECOND - 1},
        }
        for id, (price, conf) in _FEEDS.items()
    ],
}

MARKETS: list[dict[str, Any]] = [
    {
        "id": "bitcoin",
        "current_price": 97_401.0,
        "high_24h": 99_446.42,
        "low_24h": 96_134.79,
        "last_updated": "2026-11-20T22:59:27.000Z",
    },
    {
        "id": "solana",
        "current_price": 182.35,
        "high_24h": None,
        "low_24h": "179.9",
        "last_updated": "2026-11-20T22:59:27.000Z",
    },
]
JUPITER: dict[str, Any] = {
    mint: {"usdPrice": price, "blockId": 379_881_204, "decimals": 9, "priceChange24h": None}
    for mint, price in {
        "3NZ9JMVBmGAqocybic2c7LQCJScmgsAZ6vQqTDzcqmJh": 97_388.04,
        "7vfCXTUXx5WJV5JADk17DUJ4ksgau7utNKj4b963voxs": 3_380.11,
        "So11111111111111111111111111111111111111112": 182.3712,
    }.items()
}
_TICKERS = {
    "BTCUSDT": ("97425.01000000", "99500.00000000", "96100.50000000"),
    "ETHUSDT": ("3381.88000000", "3460.00000000", "3350.10000000"),
    "SOLUSDT": ("182.43000000", "189.80000000", "180.02000000"),
}
BINANCE: list[dict[str, Any]] = [
    {
        "symbol": symbol,
        "lastPrice": last,
        "highPrice": high,
        "lowPrice": low,
        "closeTime": NOW_SECOND * 1000 - 211,
    }
    for symbol, (last, high, low) in _TICKERS.items()
]
COINBASE: dict[str, dict[str, Any]] = {
    asset: {"price": price, "trade_id": 901_182_231, "time": "2026-11-20T22:59:59.411822Z"}
    for asset, price in {"BTC": "97418.21", "ETH": "3381.02", "SOL": "182.41"}.items()
}
KRAKEN: dict[str, Any] = {
    "error": [],
    "result": {
        "XXBTZUSD": {
            "c": ["97419.30000", "0.00067643"],
            "h": ["98631.00000", "98931.00000"],
            "l": ["96868.30000", "96800.10000"],
        },
        "XETHZUSD": {
            "c": ["3381.69000", "0.4"],
            "h": ["3451.00", "3461.00"],
            "l": ["3355.30", "3350.30"],
        },
        "SOLUSD": {"c": ["182.44000", "1.2"], "h": ["189.80", "189.90"], "l": ["180.01", "180.00"]},
    },
}
YAHOO: dict[str, Any] = {
    "chart": {
        "result": [
            {
                "meta": {
                    "currency": "USD",
                    "symbol": "^GSPC",
                    "regularMarketTime": 1_795_208_400,  # 21:00 UTC, the close of that Friday
                    "regularMarketPrice": 6_712.48,
                },
                "timestamp": [1_795_208_100, 1_795_208_400],
                "indicators": {"quote": [{"close": [None, None], "open": [6_711.0, None]}]},
            }
        ],
        "error": None,
    }
}
PATHS = {
    "binance": "GET /api/v3/ticker/24hr",
    "coinbase": "GET /products/BTC-USD/ticker",
    "coingecko": COINGECKO_PATH,
    "jupiter": "GET /price/v3",
    "kraken": "GET /0/public/Ticker",
    "pyth": PYTH_PATH,
    "yahoo": "GET /v8/finance/chart/%5EGSPC",
}


def token(price: object) -> dict[str, Any]:
    """Jupiter's answer for BTC."""
    return {"3NZ9JMVBmGAqocybic2c7LQCJScmgsAZ6vQqTDzcqmJh": {"usdPrice": price}}


def ticker(**changed: object) -> list[dict[str, Any]]:
    """Binance's answer for BTC with some members replaced."""
    return [{**BINANCE[0], **changed}]


def pair(**changed: object) -> dict[str, Any]:
    """Kraken's answer for BTC with some members replaced."""
    return {"error": [], "result": {"XXBTZUSD": {**KRAKEN["result"]["XXBTZUSD"], **changed}}}


def chart(**changed: object) -> dict[str, Any]:
    """Yahoo's answer with some members of its head replaced."""
    return {
        "chart": {
            "result": [{"meta": {**YAHOO["chart"]["result"][0]["meta"], **changed}}],
            "error": None,
        }
    }


def coin(usd: object, last_updated_at: object = NOW_SECOND - 10) -> dict[str, Any]:
    """CoinGecko's answer for one coin."""
    return {"bitcoin": {"usd": usd, "last_updated_at": last_updated_at}}


def coins(second: int, factor: float = 1.0) -> dict[str, Any]:
    """CoinGecko's answer at another moment, all prices times a factor."""
    return {
        id: {"usd": one["usd"] * factor, "last_updated_at": second} for id, one in COINGECKO.items()
    }


def feed(**changed: object) -> dict[str, Any]:
    """Pyth's answer for BTC with some members of its price replaced."""
    first = PYTH["parsed"][0]
    return {"parsed": [{"id": first["id"], "price": {**first["price"], **changed}}]}


def feeds(second: int, factor: float = 1.0) -> dict[str, Any]:
    """Pyth's answer at another moment, all prices times a factor."""
    parsed = []
    for one in PYTH["parsed"]:
        price = str(round(int(one["price"]["price"]) * factor))
        parsed.append(
            {"id": one["id"], "price": {**one["price"], "price": price, "publish_time": second}}
        )
    return {"parsed": parsed}
