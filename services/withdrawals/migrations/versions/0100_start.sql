-- The schema of withdrawals and the rows it begins with; later changes are revisions of their own.

CREATE TABLE asset (
    name TEXT NOT NULL,
    settings JSONB NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE asset_state (
    asset TEXT NOT NULL,
    mismatch_count INTEGER NOT NULL,
    PRIMARY KEY (asset)
);

CREATE TABLE caller_epoch (
    caller TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (caller)
);

CREATE TABLE decision (
    key BIGINT GENERATED ALWAYS AS IDENTITY,
    asset TEXT NOT NULL,
    value SMALLINT NOT NULL,
    evaluated_time TIMESTAMP WITH TIME ZONE NOT NULL,
    demo BOOLEAN NOT NULL,
    body JSONB NOT NULL,
    PRIMARY KEY (key),
    CONSTRAINT decision_value CHECK (value between -1 and 1)
);

CREATE INDEX decision_of_asset ON decision (asset, key);

CREATE INDEX ix_decision_evaluated_time ON decision (evaluated_time);

CREATE TABLE holding (
    key INTEGER GENERATED ALWAYS AS IDENTITY,
    asset TEXT NOT NULL,
    wallet TEXT NOT NULL,
    market TEXT NOT NULL,
    PRIMARY KEY (key),
    CONSTRAINT holding_asset_wallet_market UNIQUE (asset, wallet, market)
);

CREATE TABLE outbox (
    decision_key BIGINT NOT NULL,
    previous_value SMALLINT,
    due_time TIMESTAMP WITH TIME ZONE NOT NULL,
    tries INTEGER DEFAULT '0' NOT NULL,
    sent_time TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (decision_key)
);

CREATE TABLE reference (
    key BIGINT GENERATED ALWAYS AS IDENTITY,
    asset TEXT NOT NULL,
    wallet TEXT NOT NULL,
    reference_time TIMESTAMP WITH TIME ZONE NOT NULL,
    tx_id TEXT NOT NULL,
    note TEXT NOT NULL,
    actor TEXT NOT NULL,
    created_time TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (key)
);

CREATE INDEX reference_newest ON reference (reference_time, key);

CREATE TABLE request (
    request_id TEXT NOT NULL,
    digest BYTEA NOT NULL,
    answer JSONB NOT NULL,
    request_time TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (request_id)
);

CREATE INDEX ix_request_request_time ON request (request_time);

CREATE TABLE service_state (
    id SMALLINT NOT NULL,
    interval_seconds FLOAT(53) NOT NULL,
    next_time TIMESTAMP WITH TIME ZONE,
    schedule_revision BIGINT NOT NULL,
    demo_start_time TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT one_row CHECK (id = 1),
    CONSTRAINT interval CHECK (interval_seconds >= 0 and interval_seconds < 'infinity')
);

CREATE TABLE step_answer (
    cycle_id TEXT NOT NULL,
    step TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    answer BYTEA NOT NULL,
    answer_time TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (cycle_id, step)
);

CREATE INDEX ix_step_answer_answer_time ON step_answer (answer_time);

CREATE TABLE sync_cursor (
    wallet TEXT NOT NULL,
    since_time TIMESTAMP WITH TIME ZONE NOT NULL,
    until_time TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (wallet)
);

CREATE TABLE token (
    asset TEXT NOT NULL,
    policy_id TEXT NOT NULL,
    token_name_hex TEXT NOT NULL,
    PRIMARY KEY (asset)
);

CREATE TABLE wallet (
    name TEXT NOT NULL,
    addresses TEXT[] NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE flow (
    key BIGINT GENERATED ALWAYS AS IDENTITY,
    holding_key INTEGER NOT NULL,
    kind SMALLINT NOT NULL,
    tx_id TEXT NOT NULL,
    units NUMERIC NOT NULL,
    flow_time TIMESTAMP WITH TIME ZONE NOT NULL,
    note TEXT NOT NULL,
    source SMALLINT NOT NULL,
    receipt_units NUMERIC,
    exchange_rate FLOAT(53),
    created_time TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (key),
    CONSTRAINT flow_identity UNIQUE (holding_key, tx_id, kind),
    CONSTRAINT flow_kind CHECK (kind in (1, 2)),
    CONSTRAINT flow_units CHECK (units > 0 and units < 'infinity'),
    CONSTRAINT flow_source CHECK (source between 1 and 5),
    FOREIGN KEY(holding_key) REFERENCES holding (key)
);

CREATE INDEX flow_newest ON flow (flow_time, key);

CREATE TABLE sample (
    holding_key INTEGER NOT NULL,
    sample_time TIMESTAMP WITH TIME ZONE NOT NULL,
    units BIGINT NOT NULL,
    price_usd FLOAT(53) NOT NULL,
    receipt_units BIGINT NOT NULL,
    exchange_rate FLOAT(53) NOT NULL,
    ada_usd FLOAT(53) NOT NULL,
    source SMALLINT NOT NULL,
    PRIMARY KEY (holding_key, sample_time),
    CONSTRAINT sample_units CHECK (units >= 0),
    CONSTRAINT sample_source CHECK (source between 1 and 5),
    FOREIGN KEY(holding_key) REFERENCES holding (key)
);

INSERT INTO service_state (id, interval_seconds, schedule_revision) VALUES (1, 0, 1);
