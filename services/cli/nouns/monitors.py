"""`sonic monitors`: periodic checks and the badges they set."""

from sonic.monitor.v1 import monitor_pb2 as pb

from services.cli.schema.verbs import Noun, Verb

_NAME = ("name",)
_MONITOR = ("monitor.name",)


def _failed(answer: object) -> bool:
    runs = answer.runs if isinstance(answer, pb.RunMonitorsResponse) else (answer,)
    return any(isinstance(run, pb.Run) and run.status == pb.RUN_STATUS_ERROR for run in runs)


MONITORS = Noun(
    "monitors",
    "Periodic checks, and what they found.",
    (
        Verb(
            "list",
            "monitor.MonitorService.ListMonitors",
            columns=(
                "name",
                "health",
                "enabled",
                "resting_reason",
                "interval",
                "last_run.status",
                "last_run.started_time",
                "description",
            ),
        ),
        Verb("show", "monitor.MonitorService.GetMonitor", _NAME),
        Verb("status", "monitor.MonitorService.GetStatus"),
        Verb(
            "run",
            "monitor.MonitorService.RunMonitor",
            _NAME,
            options=("force",),
            every="run-all",
            failed=_failed,
            example="sonic monitors run liquidation",
            seconds=120,
        ),
        Verb(
            "run-all",
            "monitor.MonitorService.RunMonitors",
            columns=("monitor", "status", "duration", "error"),
            failed=_failed,
            failed_when="one fails",
            seconds=120,
        ),
        Verb(
            "runs",
            "monitor.MonitorService.ListRuns",
            options=("monitor", "status", "cycle_id", "start_time", "end_time"),
            renamed={"cycle_id": "cycle", "start_time": "since", "end_time": "until"},
            columns=("id", "monitor", "started_time", "status", "duration", "error"),
        ),
        Verb(
            "enable",
            "monitor.MonitorService.UpdateMonitor",
            _MONITOR,
            fixed={"monitor.enabled": True},
            help="Run this monitor.",
        ),
        Verb(
            "disable",
            "monitor.MonitorService.UpdateMonitor",
            _MONITOR,
            fixed={"monitor.enabled": False},
            help="Run this monitor no more.",
        ),
        Verb(
            "set",
            "monitor.MonitorService.UpdateMonitor",
            _MONITOR,
            options=(
                "monitor.interval",
                "monitor.threshold_percent",
                "monitor.notification_level",
                "monitor.channels",
                "monitor.snooze",
            ),
            renamed={
                "monitor.threshold_percent": "threshold",
                "monitor.notification_level": "level",
            },
            example="sonic monitors set liquidation --interval 30s",
        ),
        Verb(
            "snooze",
            "monitor.MonitorService.SnoozeMonitor",
            _NAME,
            options=("duration",),
            renamed={"duration": "for"},
            example="sonic monitors snooze latency --for 8h",
        ),
        Verb(
            "badges",
            "monitor.MonitorService.ListBadges",
            options=("include_dismissed",),
            renamed={"include_dismissed": "all"},
            columns=("name", "level", "value", "subject", "badge_time", "stale", "dismissed"),
        ),
        Verb(
            "dismiss",
            "monitor.MonitorService.DismissBadge",
            _NAME,
            options=("subject", "level"),
            example="sonic monitors dismiss liquidation_badge --subject POSITION --level high",
        ),
        Verb(
            "watch",
            "monitor.MonitorService.WatchMonitors",
            options=("names",),
            renamed={"names": "name"},
            columns=("name", "health", "last_run.status", "last_run.started_time"),
            rows="monitors",
        ),
    ),
    "Look",
)
