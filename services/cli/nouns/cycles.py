"""`sonic cycles`, `sonic schedule`, `sonic logs`: when the steps run, and what was said."""

from services.cli.schema.verbs import Noun, Verb

CYCLES = Noun(
    "cycles",
    "Passes over the steps.",
    (
        Verb(
            "list",
            "cyclone.CycloneService.ListCycles",
            options=("state",),
            columns=("id", "state", "cause", "started_time", "duration", "message"),
        ),
        Verb("show", "cyclone.CycloneService.GetCycle", ("id",)),
        Verb(
            "start",
            "cyclone.CycloneService.StartCycle",
            options=("steps", "deliver_to", "request_id"),
            help="Start a cycle and do not wait for its end; `sonic cycle` waits.",
            example="sonic cycles start --deliver-to email --request-id evening-1",
        ),
        Verb("cancel", "cyclone.CycloneService.CancelCycle", ("id",)),
        Verb(
            "recordings",
            "alerts.RecorderService.ListRecordings",
            columns=(
                "recorded_time",
                "cycle_id",
                "alert_count",
                "position_count",
                "change_count",
                "notified_count",
                "size_bytes",
            ),
            empty="Nothing is recorded yet.",
            help="What evaluations kept of what they read; `sonic replay` judges it again.",
        ),
    ),
    "Look",
)
DRILLS = Noun(
    "drill",
    "Does the outside tell you when Sonic is dead?",
    (
        Verb(
            "plan",
            "cyclone.DrillsService.PlanDrill",
            options=("start_time", "limit"),
            renamed={"start_time": "at"},
            help="Play dead to the outside for a while: no ping; everything else goes on."
            " Keep the code.",
            example="sonic drill plan --limit 30m",
        ),
        Verb(
            "answer",
            "cyclone.DrillsService.AnswerDrill",
            ("code",),
            help="The outside has told you: say so with the code of the drill.",
        ),
        Verb("cancel", "cyclone.DrillsService.CancelDrill", ("id",)),
        Verb(
            "list",
            "cyclone.DrillsService.ListDrills",
            columns=("id", "state", "start_time", "begun_time", "ended_time", "told_after"),
        ),
    ),
    "Run",
)
SCHEDULE = Noun(
    "schedule",
    "When cycles run by themselves.",
    (
        Verb("show", "cyclone.CycloneService.GetSchedule"),
        Verb(
            "set",
            "cyclone.CycloneService.UpdateSchedule",
            options=("schedule.interval",),
            example="sonic schedule set --interval 30s",
        ),
        Verb(
            "pause",
            "cyclone.CycloneService.UpdateSchedule",
            fixed={"schedule.enabled": False},
            help="Run no cycle by itself until resume.",
        ),
        Verb(
            "resume",
            "cyclone.CycloneService.UpdateSchedule",
            fixed={"schedule.enabled": True},
            help="Run cycles by themselves again.",
        ),
    ),
    "Run",
)
STREAMS = Noun(
    "streams",
    "What venues and price sources tell between two cycles.",
    (
        Verb(
            "list",
            "cyclone.CycloneService.ListStreams",
            columns=("name", "service", "state", "since_time", "reason"),
            empty="No stream is followed: SONIC_STREAMS=1 turns them on.",
            help="How the streams stand that pull the next look forward.",
        ),
    ),
    "Look",
)
DATA = Noun(
    "clear",
    "Delete what is held; the word has to be typed.",
    (
        Verb(
            "kinds",
            "cyclone.CycloneService.ClearAllData",
            options=("kinds",),
            renamed={"kinds": "kind"},
            word="clear",
            example="sonic clear kinds --kind prices --confirm clear",
        ),
        Verb("prices", "price.PriceService.ClearData", word="clear"),
        Verb("portfolio", "positions.PortfolioService.ClearData", word="clear"),
        Verb("alerts", "alerts.AlertsService.ClearData", word="clear"),
        Verb("monitors", "monitor.MonitorService.ClearData", word="clear"),
        Verb("messages", "xcom.XComService.ClearData", word="clear"),
    ),
    "Run",
)
