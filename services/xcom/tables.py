"""The tables of xcom; `delivery` is the queue."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.versions.store import declare_versions

metadata = MetaData()

# Every request accepted: outlives a message that is cleared, so that no old request is sent twice.
request = Table(
    "request",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("dedupe_key", Text, nullable=False),
    Column("created_time", DateTime(timezone=True), nullable=False),
    Column("suppressed_reason", Text, nullable=False),
    Column("channels_reason", Text, nullable=False),
)
Index(
    "request_dedupe",
    request.c.dedupe_key,
    request.c.created_time,
    postgresql_where=text("dedupe_key <> ''"),
)
Index("request_created", request.c.created_time, postgresql_using="brin")

message = Table(
    "message",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, nullable=False, unique=True),
    Column("level", SmallInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("dedupe_key", Text, nullable=False),
    Column("facts", JSONB, nullable=False),
    Column("kind", SmallInteger, nullable=False, server_default=text("1")),
    Column("created_time", DateTime(timezone=True), nullable=False),
    Column("suppressed_reason", Text, nullable=False),
    Column("channels_reason", Text, nullable=False),
    Column("acknowledged_time", DateTime(timezone=True)),
    Column("acknowledged_by", Text, nullable=False, server_default=text("''")),
    Column("snoozed_until_time", DateTime(timezone=True)),
    # Contacts of the chain notified so far, and when the next one is due.
    Column("escalation_step", Integer, nullable=False, server_default=text("0")),
    Column("escalation_due_time", DateTime(timezone=True)),
    # What is said of one incident is acknowledged, put off and ended together; empty: it stands
    # alone.
    Column("incident_key", Text, nullable=False, server_default=text("''")),
    Column("ends_incident", Boolean, nullable=False, server_default=text("false")),
    # By which its deliveries belong to the trace of what handed it over.
    Column("trace", Text, nullable=False, server_default=text("''")),
    CheckConstraint("level between 1 and 4", name="message_level"),
    # How early it goes, larger first; see domain/messages.py.
    Column("urgency", Double, nullable=False),
    CheckConstraint("escalation_step >= 0", name="message_escalation_step"),
    CheckConstraint("kind between 1 and 2", name="message_kind"),
)
Index(
    "message_escalation",
    message.c.escalation_due_time,
    postgresql_where=text("escalation_due_time is not null"),
)
Index("message_created", message.c.created_time, postgresql_using="brin")
Index("message_incident", message.c.incident_key, postgresql_where=text("incident_key <> ''"))

# How an incident stands, once somebody said so: over for good, or quiet up to a level and until a
# moment.
incident = Table(
    "incident",
    metadata,
    Column("key", Text, primary_key=True),
    Column("ended_time", DateTime(timezone=True)),
    Column("quiet_level", SmallInteger, nullable=False, server_default=text("0")),
    Column("quiet_until_time", DateTime(timezone=True)),
    Column("updated_time", DateTime(timezone=True), nullable=False),
    CheckConstraint("quiet_level between 0 and 4", name="incident_quiet_level"),
)
Index("incident_updated", incident.c.updated_time)

# What people said here about incidents, in order, for those who sent the messages.
acknowledgement = Table(
    "acknowledgement",
    metadata,
    Column("sequence", BigInteger, Identity(), primary_key=True),
    Column("incident_key", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("said_by", Text, nullable=False),
    # Only put off until then; none for an acknowledgement.
    Column("snoozed_until_time", DateTime(timezone=True)),
    Column("created_time", DateTime(timezone=True), nullable=False),
    CheckConstraint("level between 1 and 4", name="acknowledgement_level"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Text, primary_key=True),
    Column("message_id", Text, ForeignKey("message.id", ondelete="CASCADE"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_time", DateTime(timezone=True), nullable=False),
    Column("claimed_until", DateTime(timezone=True)),
    Column("sent_time", DateTime(timezone=True)),
    Column("last_error", Text, nullable=False),
    Column("provider_status", Text, nullable=False),
    Column("created_time", DateTime(timezone=True), nullable=False),
    Column("reason", SmallInteger, nullable=False, server_default=text("1")),
    Column("contact", Text, nullable=False, server_default=text("''")),
    # Replaces the channel's own destination.
    Column("address", Text, nullable=False, server_default=text("''")),
    # The delivery that carries this one.
    Column("digest_id", Text, nullable=False, server_default=text("''")),
    # Tries made before it was queued again by hand: they do not count against the last one.
    Column("spent_tries", Integer, nullable=False, server_default=text("0")),
    # What the provider calls what it took last, and when it took it.
    Column("receipt_id", Text, nullable=False, server_default=text("''")),
    Column("handed_over_time", DateTime(timezone=True)),
    # What the channel shows it as, to be edited and answered.
    Column("posted_id", Text, nullable=False, server_default=text("''")),
    # How its incident stands by what is shown there; see deliveries/domain/standing.py.
    Column("shown_standing", SmallInteger, nullable=False, server_default=text("0")),
    # That of its message; of a digest, that of the most urgent one it carries.
    Column("urgency", Double, nullable=False),
    UniqueConstraint("message_id", "channel", "address", name="delivery_once"),
    CheckConstraint("state between 1 and 6", name="delivery_state"),
    CheckConstraint("reason between 1 and 5", name="delivery_reason"),
    CheckConstraint("spent_tries between 0 and tries", name="delivery_spent_tries"),
    CheckConstraint("level between 1 and 4", name="delivery_level"),
    CheckConstraint("tries >= 0", name="delivery_tries"),
    CheckConstraint("(state = 2) = (sent_time is not null)", name="delivery_sent"),
)
Index(
    "delivery_queue",
    delivery.c.channel,
    delivery.c.urgency.desc(),
    delivery.c.due_time,
    delivery.c.id,
    postgresql_where=text("state = 1"),
)
Index("delivery_handed_over", delivery.c.due_time, postgresql_where=text("state = 6"))
Index("delivery_dead", delivery.c.channel, postgresql_where=text("state = 3"))
Index("delivery_digest", delivery.c.digest_id, postgresql_where=text("digest_id <> ''"))
Index(
    "delivery_sent_last",
    delivery.c.channel,
    delivery.c.address,
    delivery.c.sent_time,
    postgresql_where=text("state = 2"),
)

Index("delivery_posted", delivery.c.posted_id, postgresql_where=text("posted_id <> ''"))

# What people answered, each once; not what they wrote.
reply = Table(
    "reply",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("provider_id", Text, primary_key=True),
    # Empty when nothing followed.
    Column("message_id", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("created_time", DateTime(timezone=True), nullable=False),
)
Index("reply_created", reply.c.created_time)

# Which process reads what is answered on a channel, until when, and how far it is.
reader = Table(
    "reader",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("expires_time", DateTime(timezone=True), nullable=False),
    Column("position", Text, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    Column("delivery_id", Text, ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True),
    Column("try_number", Integer, primary_key=True),
    Column("attempt_time", DateTime(timezone=True), nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("provider_status", Text, nullable=False),
    Column("error", Text, nullable=False),
    CheckConstraint("outcome between 1 and 5", name="attempt_outcome"),
    CheckConstraint("try_number >= 1", name="attempt_try"),
)
Index("attempt_recent", attempt.c.attempt_time)

# Every call, written down before it is placed: the limits count these. Outlives messages.
call = Table(
    "call",
    metadata,
    Column("id", Text, primary_key=True),
    Column("delivery_id", Text, nullable=False),
    Column("incident", Text, nullable=False),
    Column("contact", Text, nullable=False),
    Column("number_hash", Text, nullable=False),
    Column("planned_time", DateTime(timezone=True), nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("receipt_id", Text, nullable=False, server_default=text("''")),
    Column("outcome", Text, nullable=False, server_default=text("''")),
    # A key was pressed in it.
    Column("key_time", DateTime(timezone=True)),
    CheckConstraint("state between 1 and 4", name="call_state"),
)
Index("call_planned", call.c.planned_time)

# What is known of a channel; outlives messages.
channel_record = Table(
    "channel_record",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("last_sent_time", DateTime(timezone=True)),
    Column("last_error", Text, nullable=False),
    Column("last_error_time", DateTime(timezone=True)),
    Column("verified_time", DateTime(timezone=True)),
)

# What people change at run time: one document a name (levels, chain, channel:<name>).
setting = Table(
    "setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("updated_time", DateTime(timezone=True), nullable=False),
)

# Settings of channels, levels and contacts after each change; no address is in it.
setting_set = declare_versions(metadata, "setting_set")

# The token itself is only in the message that was sent.
link = Table(
    "link",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("message_id", Text, ForeignKey("message.id", ondelete="CASCADE"), nullable=False),
    Column("created_time", DateTime(timezone=True), nullable=False),
    Column("expires_time", DateTime(timezone=True), nullable=False),
    Column("used_time", DateTime(timezone=True)),
)
Index("link_message", link.c.message_id)

# The file that goes along with a message.
attachment = Table(
    "attachment",
    metadata,
    Column("message_id", Text, ForeignKey("message.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
