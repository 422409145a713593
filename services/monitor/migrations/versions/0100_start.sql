-- The schema of monitor and the rows it begins with; later changes are revisions of their own.

CREATE TABLE badge (
    name text NOT NULL,
    value text NOT NULL,
    level smallint NOT NULL,
    badge_time timestamp with time zone NOT NULL,
    monitor text NOT NULL,
    stale boolean NOT NULL,
    parts jsonb DEFAULT '[]'::jsonb NOT NULL,
    listed boolean DEFAULT false NOT NULL
);

CREATE TABLE beat (
    id smallint NOT NULL,
    call_time timestamp with time zone NOT NULL,
    cycle_interval_seconds double precision,
    demo boolean,
    CONSTRAINT beat_one CHECK ((id = 1))
);

CREATE TABLE caller_epoch (
    caller text NOT NULL,
    epoch bigint NOT NULL
);

CREATE TABLE claim (
    monitor text NOT NULL,
    until_time timestamp with time zone NOT NULL
);

CREATE TABLE dismissal (
    badge text NOT NULL,
    subject text NOT NULL,
    level smallint NOT NULL,
    badness double precision,
    dismissed_time timestamp with time zone NOT NULL
);

CREATE TABLE incident (
    monitor text NOT NULL,
    id text NOT NULL,
    since_time timestamp with time zone NOT NULL,
    members jsonb DEFAULT '{}'::jsonb NOT NULL,
    notified boolean DEFAULT true CONSTRAINT incident_told_not_null NOT NULL
);

CREATE TABLE outbox (
    id text NOT NULL,
    level smallint NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    created_time timestamp with time zone NOT NULL,
    channels text[] DEFAULT '{}'::text[] NOT NULL,
    demo boolean DEFAULT false NOT NULL,
    incident_key text DEFAULT ''::text NOT NULL,
    ends_incident boolean DEFAULT false NOT NULL
);

CREATE TABLE run (
    id bigint NOT NULL,
    monitor text NOT NULL,
    started_time timestamp with time zone NOT NULL,
    duration_seconds double precision NOT NULL,
    status smallint NOT NULL,
    metadata jsonb NOT NULL,
    error text NOT NULL,
    cycle_id text NOT NULL,
    CONSTRAINT run_duration CHECK ((duration_seconds >= (0)::double precision)),
    CONSTRAINT run_status CHECK (((status >= 1) AND (status <= 4)))
);

ALTER TABLE run ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME run_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE setting (
    monitor text NOT NULL,
    enabled boolean,
    interval_seconds double precision,
    threshold_percent double precision,
    notification_level smallint,
    channels text[] NOT NULL,
    snooze_seconds double precision,
    snoozed_until_time timestamp with time zone,
    version bigint NOT NULL,
    CONSTRAINT setting_interval CHECK (((interval_seconds > (0)::double precision) AND (interval_seconds < 'Infinity'::double precision))),
    CONSTRAINT setting_snooze CHECK (((snooze_seconds >= (0)::double precision) AND (snooze_seconds < 'Infinity'::double precision))),
    CONSTRAINT setting_threshold CHECK (((threshold_percent >= (0)::double precision) AND (threshold_percent < 'Infinity'::double precision)))
);

CREATE TABLE step_answer (
    cycle_id text NOT NULL,
    step text NOT NULL,
    epoch bigint NOT NULL,
    answer bytea NOT NULL,
    answer_time timestamp with time zone NOT NULL
);

ALTER TABLE ONLY badge
    ADD CONSTRAINT badge_pkey PRIMARY KEY (name);

ALTER TABLE ONLY beat
    ADD CONSTRAINT beat_pkey PRIMARY KEY (id);

ALTER TABLE ONLY caller_epoch
    ADD CONSTRAINT caller_epoch_pkey PRIMARY KEY (caller);

ALTER TABLE ONLY claim
    ADD CONSTRAINT claim_pkey PRIMARY KEY (monitor);

ALTER TABLE ONLY dismissal
    ADD CONSTRAINT dismissal_pkey PRIMARY KEY (badge, subject);

ALTER TABLE ONLY incident
    ADD CONSTRAINT incident_pkey PRIMARY KEY (monitor);

ALTER TABLE ONLY outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY run
    ADD CONSTRAINT run_pkey PRIMARY KEY (id);

ALTER TABLE ONLY setting
    ADD CONSTRAINT setting_pkey PRIMARY KEY (monitor);

ALTER TABLE ONLY step_answer
    ADD CONSTRAINT step_answer_pkey PRIMARY KEY (cycle_id, step);

CREATE INDEX ix_step_answer_answer_time ON step_answer USING btree (answer_time);

CREATE INDEX run_cycle ON run USING btree (cycle_id) WHERE (cycle_id <> ''::text);

CREATE INDEX run_monitor_id ON run USING btree (monitor, id);

CREATE INDEX run_not_skipped ON run USING btree (monitor, id) WHERE (status <> 3);

REVOKE DELETE ON TABLE caller_epoch FROM monitor;

REVOKE UPDATE ON TABLE run FROM monitor;
