"""More verbs of `sonic alerts`; thresholds, market rules, the ledger."""

from services.cli.schema.verbs import Noun, Verb

_ID = ("id",)
_LIMITS = ("threshold.low", "threshold.medium", "threshold.high")
_CHANNELS = ("threshold.low_channels", "threshold.medium_channels", "threshold.high_channels")
_RULE = (
    "rule.asset",
    "rule.metric",
    "rule.direction",
    "rule.threshold",
    "rule.recurrence",
    "rule.window",
    "rule.cooldown",
    "rule.level",
    "rule.enabled",
    "rule.channels",
    "rule.notes",
)

ALERTS = Noun(
    "alerts",
    "What was judged, and why.",
    (
        Verb("show", "alerts.AlertsService.GetAlert", _ID, example="sonic alerts show alert-12"),
        Verb(
            "add",
            "alerts.AlertsService.CreateAlert",
            options=(
                "type_name",
                "condition_name",
                "alert.asset",
                "alert.position_id",
                "alert.trigger_value",
                "alert.starting_value",
                "alert.trigger_time",
                "after",
                "alert.cooldown",
                "alert.notes",
                "alert.channels",
            ),
            renamed={
                "type_name": "type",
                "condition_name": "condition",
                "alert.position_id": "position",
                "alert.trigger_value": "value",
                "alert.starting_value": "start",
                "alert.trigger_time": "at",
            },
            example="sonic alerts add --type price-threshold --condition below --asset SOL"
            " --value 120",
        ),
        Verb(
            "edit",
            "alerts.AlertsService.UpdateAlert",
            ("alert.id",),
            options=(
                "alert.trigger_value",
                "alert.condition",
                "alert.status",
                "alert.cooldown",
                "alert.notes",
                "alert.channels",
            ),
            renamed={"alert.trigger_value": "value"},
        ),
        Verb(
            "remove",
            "alerts.AlertsService.DeleteAlert",
            _ID,
            question="Remove this alert? One of a threshold comes back with the next cycle.",
        ),
        Verb(
            "ack",
            "alerts.AttentionService.AcknowledgeAlert",
            _ID,
            options=("duration", "actor"),
            renamed={"duration": "for"},
            example="sonic alerts ack alert-12",
        ),
        Verb(
            "silence",
            "alerts.AttentionService.SilenceAlert",
            _ID,
            options=("duration", "level", "actor"),
            renamed={"duration": "for"},
            example="sonic alerts silence alert-12 --for 1h",
        ),
        Verb("unsilence", "alerts.AttentionService.UnsilenceAlert", _ID, options=("actor",)),
        Verb(
            "history",
            "alerts.LedgerService.ListLedger",
            ("alert_id",),
            columns=("entry_time", "reason", "level_before", "level_after", "value", "actor"),
        ),
        Verb(
            "statistics",
            "alerts.AttentionService.GetStatistics",
            options=("window", "alert_id"),
            renamed={"alert_id": "alert"},
            columns=(
                "type",
                "rule_id",
                "fired_count",
                "acknowledged_count",
                "silenced_count",
                "ended_count",
                "median_duration",
                "last_fired_time",
            ),
        ),
        Verb("summary", "alerts.AlertsService.GetSummary"),
        Verb(
            "watch",
            "alerts.AttentionService.WatchAlerts",
            options=("alert_class", "type", "min_level", "position_id", "asset"),
            renamed={"alert_class": "class", "min_level": "level", "position_id": "position"},
            columns=("id", "level", "type", "asset", "side", "evaluated_value", "why"),
            rows="alerts",
        ),
    ),
    "Act",
)
THRESHOLDS = Noun(
    "thresholds",
    "Limits by which alerts are judged.",
    (
        Verb(
            "list",
            "alerts.ThresholdsService.ListThresholds",
            columns=("id", "type", "condition", "asset", "low", "medium", "high", "enabled"),
        ),
        Verb(
            "set",
            "alerts.ThresholdsService.UpdateThreshold",
            ("threshold.id",),
            options=(*_LIMITS, *_CHANNELS),
            example="sonic thresholds set LIQUIDATION_DISTANCE-POSITION-BELOW --low 20 --high 5",
        ),
        Verb(
            "enable",
            "alerts.ThresholdsService.UpdateThreshold",
            ("threshold.id",),
            fixed={"threshold.enabled": True},
            help="Judge by this threshold.",
        ),
        Verb(
            "disable",
            "alerts.ThresholdsService.UpdateThreshold",
            ("threshold.id",),
            fixed={"threshold.enabled": False},
            help="Judge by this threshold no more.",
        ),
        Verb(
            "add",
            "alerts.ThresholdsService.CreateThreshold",
            options=(
                "threshold.type",
                "threshold.condition",
                "threshold.asset",
                *_LIMITS,
                *_CHANNELS,
            ),
            fixed={"threshold.enabled": True},
            help="A threshold of one asset, beside the one for every asset.",
        ),
        Verb(
            "reset",
            "alerts.ThresholdsService.DeleteThreshold",
            _ID,
            question="Delete this threshold of an asset? The one for every asset holds again.",
        ),
        Verb("export", "alerts.ThresholdsService.ExportThresholds", output="json"),
        Verb(
            "import",
            "alerts.ThresholdsService.ImportThresholds",
            options=("dry_run",),
            file="json",
        ),
    ),
    "Act",
)
RULES = Noun(
    "rules",
    "Wishes about an asset's price.",
    (
        Verb(
            "list",
            "alerts.RulesService.ListRules",
            columns=(
                "id",
                "asset",
                "metric",
                "direction",
                "threshold",
                "state",
                "ratio",
                "level",
                "enabled",
            ),
        ),
        Verb("show", "alerts.RulesService.GetRule", _ID),
        Verb(
            "add",
            "alerts.RulesService.CreateRule",
            options=_RULE,
            example="sonic rules add --asset BTC --metric price-target --threshold 90000",
        ),
        Verb(
            "edit",
            "alerts.RulesService.UpdateRule",
            ("rule.id",),
            options=(*_RULE, "rule.armed"),
        ),
        Verb("remove", "alerts.RulesService.DeleteRule", _ID, question="Remove this rule?"),
    ),
    "Act",
)


LEDGER = Noun(
    "ledger",
    "The record of every change of level, which cannot be rewritten unseen.",
    (
        Verb(
            "list",
            "alerts.LedgerService.ListLedger",
            options=("alert_id", "cycle_id", "digest_id"),
            renamed={"alert_id": "alert", "cycle_id": "cycle", "digest_id": "digest"},
            rows="entries",
            rest="segments",
            columns=(
                "sequence",
                "entry_time",
                "alert_id",
                "type",
                "reason",
                "level_after",
                "value",
                "subject",
                "actor",
            ),
        ),
        Verb(
            "seal",
            "alerts.LedgerService.SealLedger",
            options=("older_than",),
            example="sonic ledger seal --older-than 90d",
            seconds=3600,
        ),
        Verb(
            "segments",
            "alerts.LedgerService.ListSegments",
            columns=(
                "file",
                "first_sequence",
                "last_sequence",
                "first_time",
                "last_time",
                "sealed_time",
            ),
            empty="No row has left for a sealed file.",
        ),
        Verb("age", "alerts.LedgerService.GetLedgerAge"),
        Verb(
            "export",
            "alerts.LedgerService.ExportLedger",
            options=("after_sequence",),
            renamed={"after_sequence": "after"},
            output="lines",
        ),
    ),
    "Look",
)
