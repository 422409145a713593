"""More verbs of `sonic positions`, and what is asked about risk."""

from services.cli.schema.verbs import Noun, Verb

_TERMS = (
    "position.wallet",
    "position.asset",
    "position.side",
    "position.entry_price_usd",
    "position.size_usd",
    "position.collateral_usd",
    "position.liquidation_price_usd",
    "position.note",
)
WHAT_IF_COLUMNS = (
    "price_usd",
    "value_usd",
    "pnl_usd",
    "leverage_ratio",
    "travel_percent",
    "liquidation_distance_percent",
    "heat_index",
    "liquidation_probability",
    "probability_model",
)
_ID = ("position_id",)
_FILTERS = ("wallet", "venue", "asset")

POSITIONS = Noun(
    "positions",
    "What is held, and how near it is to liquidation.",
    (
        Verb(
            "add",
            "positions.PositionsService.CreatePosition",
            options=_TERMS,
            example="sonic positions add --wallet manual --asset SOL --side long"
            " --entry-price-usd 150 --size-usd 3000 --collateral-usd 600",
        ),
        Verb(
            "edit",
            "positions.PositionsService.UpdatePosition",
            ("position.id",),
            options=_TERMS[3:],
            example="sonic positions edit POSITION --collateral-usd 1500",
        ),
        Verb(
            "remove",
            "positions.PositionsService.DeletePosition",
            ("id",),
            question="Remove this position? One that its venue still shows comes back.",
        ),
        Verb("remove-all", "positions.PositionsService.DeleteAllPositions", word="delete"),
        Verb(
            "export",
            "positions.FilesService.ExportPositions",
            options=("format", *_FILTERS, "all_statuses"),
            renamed={"all_statuses": "all"},
            fixed={"format": "CSV"},
            output="content",
            example="sonic positions export --output positions.csv",
        ),
        Verb(
            "refused",
            "positions.PositionsService.ListRefusedRows",
            columns=("refused_time", "wallet", "venue", "reason", "field", "masked_body"),
        ),
        Verb(
            "events",
            "positions.PositionsService.ListPositionEvents",
            help="What happened to positions: opened, grew, shrank, closed, liquidated, taken.",
            columns=(
                "event_time",
                "kind",
                "wallet",
                "venue",
                "asset",
                "side",
                "size_before_usd",
                "size_after_usd",
                "position_count",
            ),
        ),
        Verb(
            "watch",
            "positions.PositionsService.WatchPositions",
            options=_FILTERS,
            columns=(
                "asset",
                "side",
                "wallet",
                "mark_price_usd",
                "risk_liquidation_price_usd",
                "liquidation_distance_percent",
            ),
            rows="positions",
        ),
        Verb(
            "what-if",
            "positions.PositionsService.EvaluateAtPrice",
            _ID,
            options=("prices_usd",),
            renamed={"prices_usd": "price"},
            columns=WHAT_IF_COLUMNS,
            example="sonic positions what-if POSITION --price 140,130",
        ),
        Verb(
            "top-up",
            "positions.RiskService.AdviseTopUp",
            _ID,
            options=("wanted_distance_percent", "price_usd"),
            renamed={"wanted_distance_percent": "distance", "price_usd": "price"},
            help="Collateral to add, or size to cut, for a wanted distance to liquidation.",
            example="sonic positions top-up POSITION --distance 10",
        ),
        Verb(
            "cut",
            "positions.RiskService.AdviseTopUp",
            _ID,
            options=("wanted_distance_percent", "price_usd"),
            renamed={"wanted_distance_percent": "distance", "price_usd": "price"},
            help="The same as top-up: size to cut stands beside collateral to add.",
        ),
        Verb(
            "probability",
            "positions.TouchesService.ListTouchProbabilities",
            _ID,
            help="The chance of touching liquidation within 24 hours, as it was said each hour.",
            columns=("stated_time", "probability", "model"),
            empty="Nothing was said of it yet: that is done once an hour.",
            example="sonic positions probability POSITION",
        ),
        Verb(
            "carry",
            "positions.RiskService.GetCarry",
            options=("position_ids",),
            renamed={"position_ids": "position"},
            columns=("position_id", "carry_usd_per_hour", "hours_to_liquidation", "reason"),
        ),
        Verb(
            "sync",
            "positions.PositionsService.SyncPositions",
            options=("wallets", "force"),
            renamed={"wallets": "wallet"},
            seconds=120,
            example="sonic positions sync --wallet main",
        ),
        Verb("mode", "positions.PositionsService.GetMode"),
    ),
    "Look",
)
