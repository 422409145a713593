"""`sonic hedges`: positions that hold one another."""

from services.cli.schema.verbs import Noun, Verb

_ID = ("id",)

HEDGES = Noun(
    "hedges",
    "Positions of one asset that hold one another.",
    (
        Verb(
            "list",
            "hedges.HedgesService.ListHedges",
            options=("wallet", "asset", "position_id", "order_by"),
            renamed={"position_id": "position"},
            columns=(
                "id",
                "asset",
                "wallet",
                "member_count",
                "stale",
                "hedge_ratio",
                "net_delta_usd",
                "imbalance_usd",
                "net_pnl_usd",
            ),
        ),
        Verb("show", "hedges.HedgesService.GetHedge", _ID),
        Verb(
            "edit",
            "hedges.HedgesService.UpdateHedge",
            ("hedge.id",),
            options=("hedge.note",),
            example="sonic hedges edit HEDGE --note 'until the vote'",
        ),
        Verb("link", "hedges.HedgesService.LinkHedges", help="Link what belongs together now."),
        Verb(
            "unlink",
            "hedges.HedgesService.UnlinkHedges",
            question="Unlink every hedge? The next cycle links them again.",
        ),
        Verb(
            "evaluate",
            "hedges.HedgesService.EvaluateHedge",
            _ID,
            options=("range.from_price_usd", "range.to_price_usd", "range.step_count"),
            renamed={
                "range.from_price_usd": "from",
                "range.to_price_usd": "to",
                "range.step_count": "steps",
            },
            columns=(
                "price_usd",
                "net_value_usd",
                "net_pnl_usd",
                "net_delta_tokens",
                "net_delta_usd",
                "imbalance_usd",
            ),
            rows="evaluations",
            example="sonic hedges evaluate HEDGE --from 100 --to 200",
        ),
        Verb(
            "ladder",
            "hedges.HedgesService.GetCorridor",
            _ID,
            options=("price_usd",),
            renamed={"price_usd": "price"},
        ),
        Verb(
            "rebalance",
            "hedges.HedgesService.AdviseRebalance",
            _ID,
            options=("target", "side", "field", "position_id", "price_usd"),
            renamed={"position_id": "position", "price_usd": "price"},
        ),
        Verb(
            "history",
            "hedges.HedgesService.ListLinkHistory",
            options=("hedge_id", "wallet", "asset", "kind", "start_time", "end_time"),
            renamed={"hedge_id": "hedge", "start_time": "since", "end_time": "until"},
            columns=("change_time", "hedge_id", "kind", "reason", "asset", "wallet"),
        ),
        Verb(
            "watch",
            "hedges.HedgesService.WatchHedges",
            options=("wallet", "asset"),
            columns=(
                "id",
                "asset",
                "wallet",
                "stale",
                "hedge_ratio",
                "net_delta_usd",
                "net_pnl_usd",
            ),
            rows="hedges",
        ),
    ),
    "Look",
)
