"""`sonic deliveries` and `sonic channels`: who was told what, and by which way."""

from sonic.xcom.v1 import xcom_pb2 as pb

from services.cli.nouns.versions import version_verbs
from services.cli.schema.verbs import Noun, Verb

_CHANNEL = ("channel.name",)


def _not_taken(answer: object) -> bool:
    return isinstance(answer, pb.TestChannelResponse) and not answer.ok


DELIVERIES = Noun(
    "deliveries",
    "Who was told what, by which way, and whether it arrived.",
    (
        Verb(
            "list",
            "xcom.XComService.ListDeliveries",
            options=("channel", "state", "message_id"),
            renamed={"message_id": "message"},
            columns=("id", "created_time", "level", "channel", "state", "subject", "last_error"),
        ),
        Verb(
            "messages",
            "xcom.XComService.ListMessages",
            options=("level", "source"),
            columns=(
                "id",
                "created_time",
                "level",
                "source",
                "subject",
                "acknowledged_by",
                "suppressed_reason",
            ),
        ),
        Verb("show", "xcom.XComService.GetMessage", ("id",), help="A message with every delivery."),
        Verb("resend", "xcom.XComService.ResendDelivery", ("id",)),
        Verb(
            "ack",
            "xcom.EscalationService.AckMessage",
            ("id",),
            options=("by", "snooze"),
            example="sonic deliveries ack MESSAGE --by jane",
        ),
        Verb(
            "acknowledgements",
            "xcom.EscalationService.ListAcknowledgements",
            options=("source", "after_sequence"),
            renamed={"after_sequence": "after"},
            columns=("sequence", "created_time", "incident_key", "level", "by"),
        ),
    ),
    "Look",
)
CHANNELS = Noun(
    "channels",
    "Ways by which people are told.",
    (
        Verb(
            "list",
            "xcom.XComService.ListChannels",
            columns=(
                "name",
                "configured",
                "enabled",
                "health",
                "destination",
                "last_sent_time",
                "queued_count",
                "last_error",
            ),
        ),
        Verb(
            "status",
            "xcom.XComService.ListChannels",
            columns=(
                "name",
                "health",
                "verified_time",
                "last_sent_time",
                "last_error_time",
                "last_error",
                "dead_count",
                "quiet_now",
            ),
            help="Whether each way can be trusted: proven when, sent and failed when last.",
        ),
        Verb(
            "test",
            "xcom.XComService.TestChannel",
            ("channel",),
            failed=_not_taken,
            seconds=90,
            example="sonic channels test email",
        ),
        Verb(
            "set",
            "xcom.ChannelsService.UpdateChannel",
            _CHANNEL,
            options=(
                "channel.enabled",
                "channel.destination",
                "channel.quiet_hours",
                "channel.quiet_budget_count",
            ),
            renamed={"channel.quiet_hours": "quiet", "channel.quiet_budget_count": "budget"},
            example='sonic channels set sms --quiet "22:00-07:00 Europe/Berlin"',
        ),
        Verb("levels", "xcom.ChannelsService.GetLevelMap"),
        Verb(
            "levels-set",
            "xcom.ChannelsService.UpdateLevelMap",
            body="level_map",
            help="Which channels a level goes to, from a file as `sonic channels levels --json`.",
            example="sonic channels levels-set levels.json",
        ),
        Verb("contacts", "xcom.EscalationService.GetEscalationChain"),
        Verb(
            "contacts-set",
            "xcom.EscalationService.UpdateEscalationChain",
            body="escalation_chain",
            help="Who is told next when nobody answers, from a file as"
            " `sonic channels contacts --json`.",
            example="sonic channels contacts-set contacts.json",
        ),
        *version_verbs(
            "channels",
            "channel settings",
            "xcom.ChannelsService.ListChannelVersions",
            "xcom.ChannelsService.CompareChannelVersions",
            "xcom.ChannelsService.RestoreChannels",
        ),
        Verb(
            "sounds",
            "xcom.ChannelsService.WatchSounds",
            help="Follow what the sound channel plays.",
        ),
    ),
    "Act",
)
WINDOWS = Noun(
    "windows",
    "Maintenance windows: planned silence.",
    (
        Verb(
            "list",
            "xcom.WindowsService.ListMaintenanceWindows",
            columns=("id", "name", "start_time", "end_time", "holds_high", "created_by"),
        ),
        Verb(
            "add",
            "xcom.WindowsService.CreateMaintenanceWindow",
            ("maintenance_window.name",),
            options=(
                "maintenance_window.start_time",
                "maintenance_window.end_time",
                "maintenance_window.holds_high",
                "maintenance_window.created_by",
            ),
            renamed={
                "maintenance_window.start_time": "start",
                "maintenance_window.end_time": "end",
                "maintenance_window.created_by": "by",
            },
            help="Plan a silence: HIGH breaks through unless --holds-high.",
            example="sonic windows add 'router swap' --end 2026-12-01T04:00Z",
        ),
        Verb(
            "end",
            "xcom.WindowsService.EndMaintenanceWindow",
            ("id",),
            help="End one now; what it held is told at once.",
        ),
    ),
    "Act",
)
