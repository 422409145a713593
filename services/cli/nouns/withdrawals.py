"""`sonic withdrawals`: what may be taken out of supplied stablecoins."""

from typing import Any

from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from services.cli.schema.verbs import Noun, Verb

_ADVICE = "withdrawals.AdvisorService."
_ASSETS = "withdrawals.AssetsService."
_SUPPLY = "withdrawals.SupplyService."
_DECISIONS = ("id", "asset", "value", "allowance_usd", "reasons", "evaluated_time")
_FLOWS = ("id", "asset", "wallet", "kind", "units", "flow_time", "source", "tx_id")
_SETTINGS = (
    *("asset.alternate_name", "asset.enabled", "asset.safety_factor", "asset.cap_units"),
    *("asset.taken_rule", "asset.ref_mode", "asset.reference_keyword", "asset.gated"),
    *("asset.hold_on_aggregate_loss", "asset.sample_age_limit", "asset.flow_lag"),
    *("asset.fee_units", "asset.wallets", "asset.range_start_time"),
    *("asset.gate.method", "asset.gate.order", "asset.gate.mode", "asset.gate.band"),
    *("asset.gate.k_sigma", "asset.gate.central_confidence", "asset.gate.alpha"),
    *("asset.gate.lookback", "asset.gate.min_points", "asset.gate.series"),
    *("asset.price.sources", "asset.price.relative", "asset.price.epsilon"),
    *("asset.price.persistence", "asset.price.age_limit", "asset.price.depeg_limit_percent"),
)
_RANGE = {"start_time": "since", "end_time": "until"}


def _is_error(answer: Any) -> bool:
    return any(one.value == pb.DECISION_VALUE_ERROR for one in answer.decisions)


def _has_problems(answer: Any) -> bool:
    return bool(answer.problems)


def _has_errors(answer: Any) -> bool:
    return bool(answer.errors)


WITHDRAWALS = Noun(
    "withdrawals",
    "What may be taken out of supplied stablecoins, and when.",
    (
        Verb(
            "evaluate",
            f"{_ADVICE}Evaluate",
            options=("assets", "as_of_time", "dry_run"),
            renamed={"assets": "asset", "as_of_time": "as-of"},
            columns=("summary",),
            line="summary",
            empty="No asset is watched; see: sonic withdrawals add --help",
            rows="decisions",
            failed=_is_error,
            failed_when="a decision is -1 or the call fails; 0 else, also when it is held",
            help="Judge assets now and keep the decisions; a line an asset.",
            example="sonic withdrawals evaluate --asset djed --dry-run",
            seconds=120.0,
        ),
        Verb(
            "decisions",
            f"{_ADVICE}ListDecisions",
            options=("asset", "value", "start_time", "end_time"),
            renamed=_RANGE,
            columns=_DECISIONS,
        ),
        Verb("show", f"{_ADVICE}GetDecision", ("id",)),
        Verb("explain", f"{_ADVICE}ExplainDecision", ("id",)),
        Verb(
            "watch",
            f"{_ADVICE}WatchDecisions",
            options=("asset",),
            columns=_DECISIONS,
            rows="decisions",
        ),
        Verb(
            "series",
            f"{_ADVICE}GetSeries",
            ("asset", "view"),
            options=("start_time", "end_time", "bin", "wallet", "points_per_bin"),
            renamed=_RANGE,
            columns=("time", "value"),
            rows="points",
        ),
        Verb(
            "news",
            f"{_ADVICE}GetNewsState",
            columns=("asset", "refusal"),
            empty="Alerts took every change of advice.",
        ),
        Verb("schedule", f"{_ADVICE}GetSchedule"),
        Verb("set-schedule", f"{_ADVICE}UpdateSchedule", ("schedule.interval",)),
        Verb("reset", f"{_ADVICE}ClearData", word="withdrawals"),
        Verb(
            "assets",
            f"{_ASSETS}ListAssets",
            columns=("name", "alternate_name", "enabled", "safety_factor", "ref_mode", "demo"),
        ),
        Verb(
            "add",
            f"{_ASSETS}CreateAsset",
            ("asset.name",),
            options=_SETTINGS,
            example="sonic withdrawals add djed --safety-factor 0.4",
        ),
        Verb(
            "edit",
            f"{_ASSETS}UpdateAsset",
            ("asset.name",),
            options=_SETTINGS,
            example="sonic withdrawals edit djed --safety-factor 0.4",
        ),
        Verb("remove", f"{_ASSETS}DeleteAsset", ("name",), question="Remove this asset?"),
        Verb("wallets", f"{_ASSETS}ListWallets", columns=("name", "addresses")),
        Verb(
            "set-wallet",
            f"{_ASSETS}SetWallet",
            ("wallet.name",),
            options=("wallet.addresses",),
            renamed={"wallet.addresses": "address"},
            example="sonic withdrawals set-wallet main --address addr1...",
        ),
        Verb("remove-wallet", f"{_ASSETS}DeleteWallet", ("name",), question="Remove it?"),
        Verb(
            "import-tokens",
            f"{_ASSETS}ImportTokenRegistry",
            file="content",
            example="sonic withdrawals import-tokens tokens.csv",
        ),
        Verb(
            "check-config",
            f"{_ASSETS}ValidateConfig",
            file="content",
            failed=_has_problems,
            failed_when="there is a problem",
            example="sonic withdrawals check-config config.yaml",
        ),
        Verb(
            "import-config",
            f"{_ASSETS}ImportConfig",
            options=("dry_run",),
            file="content",
            example="sonic withdrawals import-config config.yaml --dry-run",
        ),
        Verb(
            "sync",
            f"{_SUPPLY}SyncTransactions",
            options=("start_time", "end_time", "wallets"),
            renamed={"start_time": "from", "end_time": "to", "wallets": "wallet"},
            failed=_has_errors,
            failed_when="a wallet failed or a transaction cannot be read",
            seconds=3600.0,
            example="sonic withdrawals sync --from '30d ago'",
        ),
        Verb(
            "import-flows",
            f"{_SUPPLY}ImportFlows",
            options=("request_id",),
            file="content",
            example="sonic withdrawals import-flows flows.csv",
        ),
        Verb(
            "import-samples",
            f"{_SUPPLY}ImportSamples",
            options=("request_id",),
            file="content",
            example="sonic withdrawals import-samples samples.csv",
        ),
        Verb(
            "flows",
            f"{_SUPPLY}ListFlows",
            options=("asset", "wallet", "kind", "start_time", "end_time"),
            renamed=_RANGE,
            columns=_FLOWS,
        ),
        Verb(
            "add-flow",
            f"{_SUPPLY}CreateFlow",
            options=(
                *("flow.asset", "flow.wallet", "flow.market", "flow.tx_id", "flow.kind"),
                *("flow.units", "flow.flow_time", "flow.note"),
            ),
            renamed={"flow.flow_time": "time"},
            example="sonic withdrawals add-flow --asset djed --wallet main --kind deposit"
            " --units 250 --time now",
        ),
        Verb("remove-flow", f"{_SUPPLY}DeleteFlow", ("id",), question="Remove this flow?"),
        Verb(
            "references",
            f"{_SUPPLY}ListReferences",
            options=("asset",),
            columns=("id", "asset", "wallet", "reference_time", "note", "actor"),
        ),
        Verb(
            "set-reference",
            f"{_SUPPLY}SetReference",
            ("reference.asset",),
            options=("reference.wallet", "reference.reference_time", "reference.note"),
            renamed={"reference.reference_time": "time"},
            help="Count gains anew from a moment, by default now.",
            example="sonic withdrawals set-reference djed --note 'new start'",
        ),
        Verb("remove-reference", f"{_SUPPLY}DeleteReference", ("id",), question="Remove it?"),
    ),
    "Look",
    test=True,
)
