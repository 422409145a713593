"""`sonic portfolio`: totals over time, sessions, shocks; the weights of heat."""

from services.cli.schema.verbs import Noun, Verb

_SESSION = ("name", "status", "started_time", "value_usd", "performance_usd", "return_percent")

PORTFOLIO = Noun(
    "portfolio",
    "Totals of all positions, now and over time.",
    (
        Verb("totals", "positions.PortfolioService.GetTotals"),
        Verb(
            "snapshots",
            "positions.PortfolioService.ListSnapshots",
            options=("start_time", "end_time", "manual_only"),
            renamed={"start_time": "since", "end_time": "until", "manual_only": "manual"},
            columns=(
                "id",
                "snapshot_time",
                "totals.position_count",
                "totals.total_value_usd",
                "totals.total_collateral_usd",
                "totals.total_pnl_usd",
                "note",
            ),
        ),
        Verb(
            "snapshot",
            "positions.PortfolioService.CreateSnapshot",
            options=("snapshot.note",),
            example="sonic portfolio snapshot --note 'before the trip'",
        ),
        Verb(
            "delete-snapshot",
            "positions.PortfolioService.DeleteSnapshot",
            ("id",),
            question="Delete this snapshot?",
        ),
        Verb(
            "trend",
            "positions.PortfolioService.ListTrend",
            options=("window", "end_time", "point_count"),
            renamed={"end_time": "until", "point_count": "points"},
            example="sonic portfolio trend --window 24h",
        ),
        Verb(
            "shock",
            "positions.RiskService.ShockGrid",
            options=("shocks.0.moves_percent", "shocks.0.other_move_percent", "step_count"),
            renamed={
                "shocks.0.moves_percent": "move",
                "shocks.0.other_move_percent": "others",
                "step_count": "steps",
            },
            fixed={"shocks.0.name": "asked"},
            example="sonic portfolio shock --move BTC=-20 --others -30",
        ),
        Verb("strategy", "positions.SessionsService.GetStrategy"),
        Verb(
            "strategy-set",
            "positions.SessionsService.UpdateStrategy",
            options=("strategy.start_value_usd", "strategy.description"),
            renamed={"strategy.start_value_usd": "start-value"},
            example="sonic portfolio strategy-set --start-value 25000",
        ),
        Verb(
            "sessions",
            "positions.SessionsService.ListSessions",
            options=("status",),
            columns=("id", *_SESSION),
        ),
        Verb(
            "session-start",
            "positions.SessionsService.StartSession",
            ("name",),
            options=("note",),
            example="sonic portfolio session-start march --note 'less leverage'",
        ),
        Verb("session-stop", "positions.SessionsService.EndSession", ("id",)),
        Verb("session-show", "positions.SessionsService.GetSession", ("id",)),
    ),
    "Look",
)
MODIFIERS = Noun(
    "modifiers",
    "Weights of heat, and of the advice about hedges.",
    (
        Verb("show", "positions.RiskService.GetHeatModifiers"),
        Verb(
            "set",
            "positions.RiskService.SetHeatModifiers",
            options=(
                "modifiers.model",
                "modifiers.distance_weight",
                "modifiers.leverage_weight",
                "modifiers.collateral_weight",
            ),
            base="positions.RiskService.GetHeatModifiers",
            example="sonic modifiers set --distance-weight 0.5",
        ),
        Verb("export", "positions.RiskService.ExportModifiers", output="content"),
        Verb(
            "import",
            "positions.RiskService.ImportModifiers",
            file="content",
            example="sonic modifiers import modifiers.json",
        ),
        Verb("hedges-show", "hedges.HedgesService.GetModifiers"),
        Verb(
            "hedges-set",
            "hedges.HedgesService.SetModifiers",
            options=(
                "modifiers.fee_percentage",
                "modifiers.target_margin",
                "modifiers.adjustment_factor",
            ),
            base="hedges.HedgesService.GetModifiers",
            example="sonic modifiers hedges-set --fee-percentage 0.1 --target-margin 2"
            " --adjustment-factor 1",
        ),
        Verb("hedges-export", "hedges.HedgesService.ExportModifiers", output="content"),
        Verb(
            "hedges-import",
            "hedges.HedgesService.ImportModifiers",
            file="content",
            example="sonic modifiers hedges-import modifiers.json",
        ),
    ),
    "Run",
)
