"""`sonic prices`: what is known of the market, and where from."""

from services.cli.schema.verbs import Noun, Verb

_ASSET = ("asset",)
_RECORD = ("id", "asset", "price_usd", "price_time", "source", "quality")

PRICES = Noun(
    "prices",
    "Prices of the market: what is known, where from, how old.",
    (
        Verb(
            "list",
            "price.PriceService.ListPrices",
            options=("qualities",),
            renamed={"qualities": "quality"},
            columns=("asset", "price_usd", "quality", "source", "price_time", "stale"),
        ),
        Verb("show", "price.PriceService.GetPrice", _ASSET, example="sonic prices show SOL"),
        Verb(
            "history",
            "price.PriceService.ListPriceHistory",
            _ASSET,
            options=("start_time", "end_time", "source"),
            renamed={"start_time": "since", "end_time": "until"},
            columns=_RECORD,
            example='sonic prices history BTC --since "2h ago"',
        ),
        Verb(
            "candles",
            "price.PriceService.ListCandles",
            _ASSET,
            options=("interval", "start_time", "end_time"),
            renamed={"start_time": "since", "end_time": "until"},
            columns=("start_time", "open_usd", "high_usd", "low_usd", "close_usd", "complete"),
            rows="candles",
            example="sonic prices candles BTC --interval hour",
        ),
        Verb(
            "refresh",
            "price.PriceService.RefreshPrices",
            options=("assets", "force"),
            renamed={"assets": "asset"},
            example="sonic prices refresh --asset SOL",
        ),
        Verb(
            "backfill",
            "price.PriceService.BackfillHistory",
            _ASSET,
            options=("interval", "start_time", "end_time"),
            renamed={"start_time": "since", "end_time": "until"},
            seconds=600,
            example="sonic prices backfill SOL --since '30d ago'",
        ),
        Verb(
            "sources",
            "price.PriceService.ListSources",
            columns=(
                "source",
                "state",
                "enabled",
                "last_answer_time",
                "last_failure",
                "calls_left",
            ),
        ),
        Verb(
            "watch",
            "price.PriceService.WatchPrices",
            options=("assets",),
            renamed={"assets": "asset"},
            columns=("asset", "price_usd", "quality", "source", "price_time"),
        ),
        Verb(
            "insert",
            "price.PriceService.InsertPrice",
            ("asset", "price_usd"),
            options=("price_time",),
            renamed={"price_time": "time"},
            example="sonic prices insert SOL 152.40",
        ),
        Verb(
            "correct",
            "price.PriceService.UpdatePriceRecord",
            ("record.id",),
            options=("record.price_usd", "record.price_time"),
            renamed={"record.price_usd": "price", "record.price_time": "time"},
            example="sonic prices correct 17 --price 152.40",
        ),
        Verb(
            "delete",
            "price.PriceService.DeletePriceRecord",
            ("id",),
            question="Delete this price?",
        ),
    ),
    "Look",
)
