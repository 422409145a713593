-- The schema of alerts and the rows it begins with; later changes are revisions of their own.

CREATE TABLE alert (
    alert_key bigint NOT NULL,
    subject_key bigint NOT NULL,
    notified_micros bigint CONSTRAINT alert_told_micros_not_null NOT NULL,
    last_triggered_micros bigint NOT NULL,
    created_micros bigint NOT NULL,
    starting_value double precision NOT NULL,
    trigger_value double precision NOT NULL,
    asset_key integer NOT NULL,
    incident_count integer NOT NULL,
    trigger_count integer NOT NULL,
    cooldown_seconds integer NOT NULL,
    kind smallint NOT NULL,
    level smallint NOT NULL,
    previous_level smallint NOT NULL,
    notified_level smallint CONSTRAINT alert_told_level_not_null NOT NULL,
    held_status smallint DEFAULT '0'::smallint NOT NULL,
    held_level smallint DEFAULT '0'::smallint NOT NULL,
    held_until_micros bigint DEFAULT '0'::bigint NOT NULL,
    trait_bits smallint DEFAULT '0'::smallint NOT NULL,
    revision integer DEFAULT 1 NOT NULL,
    kept_level smallint DEFAULT '0'::smallint NOT NULL,
    CONSTRAINT counts_not_negative CHECK (((incident_count >= 0) AND (trigger_count >= 0))),
    CONSTRAINT level_known CHECK ((((level >= 1) AND (level <= 4)) AND ((previous_level >= 1) AND (previous_level <= 4)))),
    CONSTRAINT notified_level_known CHECK (((notified_level >= 0) AND (notified_level <= 4)))
)
WITH (fillfactor='60');

CREATE TABLE anchor (
    id smallint NOT NULL,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT one_row CHECK ((id = 1))
);

CREATE TABLE annotations (
    alert_id text CONSTRAINT wording_alert_id_not_null NOT NULL,
    notes text CONSTRAINT wording_notes_not_null NOT NULL,
    channels text[] CONSTRAINT wording_channels_not_null NOT NULL
);

CREATE TABLE asset (
    asset_key integer NOT NULL,
    name text NOT NULL
);

CREATE TABLE caller_epoch (
    caller text NOT NULL,
    epoch bigint NOT NULL
);

CREATE TABLE evaluation (
    version bigint NOT NULL,
    evaluated_micros bigint NOT NULL,
    alert_key bytea NOT NULL,
    value bytea NOT NULL,
    observed_micros bytea NOT NULL,
    state bytea NOT NULL,
    falling bytea NOT NULL
);

ALTER TABLE ONLY evaluation ALTER COLUMN alert_key SET STORAGE EXTERNAL;

ALTER TABLE ONLY evaluation ALTER COLUMN value SET STORAGE EXTERNAL;

ALTER TABLE ONLY evaluation ALTER COLUMN observed_micros SET STORAGE EXTERNAL;

ALTER TABLE ONLY evaluation ALTER COLUMN state SET STORAGE EXTERNAL;

ALTER TABLE ONLY evaluation ALTER COLUMN falling SET STORAGE EXTERNAL;

CREATE TABLE ledger (
    sequence bigint NOT NULL,
    entry_time timestamp with time zone NOT NULL,
    alert_id text NOT NULL,
    type smallint NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    level_before smallint NOT NULL,
    level_after smallint NOT NULL,
    value double precision,
    flip_value double precision,
    inputs_json text NOT NULL,
    cycle_id text NOT NULL,
    subject text NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL
);

CREATE TABLE outbox (
    ledger_sequence bigint NOT NULL,
    created_time timestamp with time zone NOT NULL,
    due_time timestamp with time zone NOT NULL,
    claimed_until timestamp with time zone,
    sent_time timestamp with time zone,
    tries integer NOT NULL,
    level smallint NOT NULL,
    noted boolean DEFAULT false NOT NULL,
    CONSTRAINT level_can_be_notified CHECK (((level >= 2) AND (level <= 4)))
);

CREATE TABLE rule (
    rule_key bigint NOT NULL,
    asset text NOT NULL,
    metric smallint NOT NULL,
    direction smallint NOT NULL,
    threshold double precision NOT NULL,
    recurrence smallint NOT NULL,
    window_seconds integer NOT NULL,
    cooldown_seconds integer NOT NULL,
    level smallint NOT NULL,
    enabled boolean NOT NULL,
    channels text[] NOT NULL,
    notes text NOT NULL,
    revision integer NOT NULL,
    created_micros bigint NOT NULL,
    armed boolean NOT NULL,
    anchor_price_usd double precision,
    anchor_micros bigint NOT NULL,
    state smallint NOT NULL,
    ratio double precision,
    price_usd double precision,
    price_micros bigint NOT NULL,
    notified_level smallint CONSTRAINT rule_told_level_not_null NOT NULL,
    notified_micros bigint CONSTRAINT rule_told_micros_not_null NOT NULL,
    incident_count integer NOT NULL,
    breach_count integer NOT NULL,
    falling smallint DEFAULT '0'::smallint NOT NULL,
    CONSTRAINT threshold_positive CHECK (((threshold > (0)::double precision) AND (threshold < 'Infinity'::double precision)))
);

CREATE TABLE rule_sample (
    asset text NOT NULL,
    observed_micros bigint NOT NULL,
    price_usd double precision NOT NULL,
    CONSTRAINT price_positive CHECK (((price_usd > (0)::double precision) AND (price_usd < 'Infinity'::double precision)))
);

CREATE TABLE service_state (
    id smallint CONSTRAINT docket_id_not_null NOT NULL,
    alert_version bigint CONSTRAINT docket_alert_version_not_null NOT NULL,
    evaluation_version bigint CONSTRAINT docket_evaluation_version_not_null NOT NULL,
    threshold_version bigint CONSTRAINT docket_threshold_version_not_null NOT NULL,
    membership_epoch bigint CONSTRAINT docket_membership_epoch_not_null NOT NULL,
    created_threshold_version bigint CONSTRAINT docket_created_threshold_version_not_null NOT NULL,
    complete boolean CONSTRAINT docket_complete_not_null NOT NULL,
    cleared_epoch bigint CONSTRAINT docket_cleared_epoch_not_null NOT NULL,
    next_alert_key bigint CONSTRAINT docket_next_alert_key_not_null NOT NULL,
    next_subject_key bigint CONSTRAINT docket_next_subject_key_not_null NOT NULL,
    demo boolean CONSTRAINT docket_demo_not_null NOT NULL,
    next_rule_key bigint DEFAULT '1'::bigint CONSTRAINT docket_next_rule_key_not_null NOT NULL,
    acknowledged_sequence bigint DEFAULT '0'::bigint CONSTRAINT docket_heard_sequence_not_null NOT NULL,
    tracked_assets text[] DEFAULT '{}'::text[] CONSTRAINT docket_tracked_assets_not_null NOT NULL,
    rule_version bigint DEFAULT '0'::bigint NOT NULL,
    CONSTRAINT one_row CHECK ((id = 1))
);

CREATE TABLE step_answer (
    cycle_id text NOT NULL,
    step text NOT NULL,
    epoch bigint NOT NULL,
    answer bytea NOT NULL,
    answer_time timestamp with time zone NOT NULL
);

CREATE TABLE subject (
    subject_key bigint NOT NULL,
    name text NOT NULL,
    wallet text NOT NULL,
    side_sign smallint NOT NULL,
    summary text NOT NULL
);

CREATE TABLE threshold (
    id text NOT NULL,
    type smallint NOT NULL,
    condition smallint NOT NULL,
    asset text NOT NULL,
    low double precision,
    medium double precision,
    high double precision,
    enabled boolean NOT NULL,
    low_channels text[] NOT NULL,
    medium_channels text[] NOT NULL,
    high_channels text[] NOT NULL,
    revision bigint NOT NULL,
    updated_time timestamp with time zone NOT NULL,
    CONSTRAINT condition_known CHECK (((condition >= 1) AND (condition <= 2))),
    CONSTRAINT limits_in_order CHECK (
CASE condition
    WHEN 1 THEN (COALESCE((low <= medium), true) AND COALESCE((medium <= high), true) AND COALESCE((low <= high), true))
    ELSE (COALESCE((low >= medium), true) AND COALESCE((medium >= high), true) AND COALESCE((low >= high), true))
END)
);

INSERT INTO asset VALUES (0, '');

INSERT INTO service_state VALUES (1, 1, 0, 1, -1, 0, false, -1, 1, -1, false, 1, 0, '{}', 0);

INSERT INTO subject VALUES (0, '', '', 0, '');

INSERT INTO threshold VALUES ('HEAT_INDEX-POSITION-ABOVE', 6, 1, '', 30, 40, 50, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('TRAVEL_PERCENT-POSITION-BELOW', 3, 2, '', -20, -35, -50, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('LIQUIDATION_DISTANCE-POSITION-BELOW', 4, 2, '', 10, 7, 5, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('LIQUIDATION_DISTANCE-POSITION-BELOW-ETH', 4, 2, 'ETH', 16, 11, 8, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('LIQUIDATION_DISTANCE-POSITION-BELOW-SOL', 4, 2, 'SOL', 14, 10, 7, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('LIQUIDATION_PROBABILITY-POSITION-ABOVE', 5, 1, '', 0.05, 0.15, 0.3, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('PROFIT-POSITION-ABOVE', 7, 1, '', 10, 25, 50, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('TOTAL_PROFIT-PORTFOLIO-ABOVE', 11, 1, '', 25, 50, 75, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('TOTAL_VALUE-PORTFOLIO-ABOVE', 9, 1, '', 10000, 25000, 50000, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('TOTAL_SIZE-PORTFOLIO-ABOVE', 10, 1, '', 10000, 50000, 100000, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('AVG_LEVERAGE-PORTFOLIO-ABOVE', 12, 1, '', 2, 5, 10, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('AVG_TRAVEL_PERCENT-PORTFOLIO-BELOW', 13, 2, '', -10, -25, -50, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('VALUE_TO_COLLATERAL_RATIO-PORTFOLIO-BELOW', 14, 2, '', 0.9, 0.7, 0.5, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

INSERT INTO threshold VALUES ('TOTAL_HEAT-PORTFOLIO-ABOVE', 15, 1, '', 30, 40, 50, true, '{}', '{}', '{}', 1, '1970-01-01 00:00:00+00');

ALTER TABLE ONLY alert
    ADD CONSTRAINT alert_pkey PRIMARY KEY (alert_key);

ALTER TABLE ONLY anchor
    ADD CONSTRAINT anchor_pkey PRIMARY KEY (id);

ALTER TABLE ONLY annotations
    ADD CONSTRAINT annotations_pkey PRIMARY KEY (alert_id);

ALTER TABLE ONLY asset
    ADD CONSTRAINT asset_name_key UNIQUE (name);

ALTER TABLE ONLY asset
    ADD CONSTRAINT asset_pkey PRIMARY KEY (asset_key);

ALTER TABLE ONLY caller_epoch
    ADD CONSTRAINT caller_epoch_pkey PRIMARY KEY (caller);

ALTER TABLE ONLY evaluation
    ADD CONSTRAINT evaluation_pkey PRIMARY KEY (version);

ALTER TABLE ONLY ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (sequence);

ALTER TABLE ONLY outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (ledger_sequence);

ALTER TABLE ONLY rule
    ADD CONSTRAINT rule_pkey PRIMARY KEY (rule_key);

ALTER TABLE ONLY rule_sample
    ADD CONSTRAINT rule_sample_pkey PRIMARY KEY (asset, observed_micros);

ALTER TABLE ONLY service_state
    ADD CONSTRAINT service_state_pkey PRIMARY KEY (id);

ALTER TABLE ONLY step_answer
    ADD CONSTRAINT step_answer_pkey PRIMARY KEY (cycle_id, step);

ALTER TABLE ONLY subject
    ADD CONSTRAINT subject_pkey PRIMARY KEY (subject_key);

ALTER TABLE ONLY threshold
    ADD CONSTRAINT threshold_once UNIQUE (type, condition, asset);

ALTER TABLE ONLY threshold
    ADD CONSTRAINT threshold_pkey PRIMARY KEY (id);

CREATE INDEX alert_held ON alert USING btree (held_until_micros) WHERE (held_status <> 0);

CREATE UNIQUE INDEX alert_once ON alert USING btree (subject_key, kind) WHERE (((trait_bits)::integer & 4) = 0);

CREATE INDEX ix_step_answer_answer_time ON step_answer USING btree (answer_time);

CREATE INDEX ledger_by_alert ON ledger USING btree (alert_id, sequence);

CREATE INDEX ledger_by_cycle ON ledger USING btree (cycle_id, sequence) WHERE (cycle_id <> ''::text);

CREATE INDEX ledger_by_time ON ledger USING brin (entry_time);

CREATE INDEX outbox_sent ON outbox USING btree (sent_time) WHERE (sent_time IS NOT NULL);

CREATE INDEX outbox_waiting ON outbox USING btree (level DESC, ledger_sequence) WHERE (sent_time IS NULL);

CREATE INDEX subject_by_name ON subject USING btree (name);

REVOKE DELETE ON TABLE anchor FROM alerts;

REVOKE DELETE ON TABLE caller_epoch FROM alerts;

REVOKE DELETE, UPDATE ON TABLE ledger FROM alerts;

REVOKE DELETE ON TABLE service_state FROM alerts;
