-- The schema of hedges and the rows it begins with; later changes are revisions of their own.

CREATE TABLE caller_epoch (
    caller text NOT NULL,
    epoch bigint NOT NULL
);

CREATE TABLE hedge (
    id text NOT NULL,
    wallet text NOT NULL,
    asset text NOT NULL,
    position_ids text[] NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    created_time timestamp with time zone NOT NULL,
    updated_time timestamp with time zone NOT NULL,
    total_long_size_usd double precision NOT NULL,
    total_short_size_usd double precision NOT NULL,
    long_heat double precision,
    short_heat double precision,
    total_heat double precision,
    hedge_ratio double precision,
    net_delta_tokens double precision,
    net_delta_usd double precision,
    imbalance_usd double precision,
    net_pnl_usd double precision,
    member_signature bigint DEFAULT '0'::bigint NOT NULL,
    revision bigint DEFAULT '0'::bigint NOT NULL
);

CREATE SEQUENCE hedge_revision
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE link_change (
    id bigint NOT NULL,
    hedge_id text NOT NULL,
    wallet text NOT NULL,
    asset text NOT NULL,
    kind smallint NOT NULL,
    reason smallint NOT NULL,
    change_time timestamp with time zone NOT NULL,
    cycle_id text NOT NULL,
    position_ids text[] NOT NULL,
    joined_position_ids text[] NOT NULL,
    left_position_ids text[] NOT NULL,
    CONSTRAINT link_change_kind CHECK (((kind >= 1) AND (kind <= 3))),
    CONSTRAINT link_change_reason CHECK (((reason >= 1) AND (reason <= 8)))
);

ALTER TABLE link_change ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME link_change_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE modifiers (
    "only" smallint NOT NULL,
    fee_percentage double precision NOT NULL,
    target_margin double precision NOT NULL,
    adjustment_factor double precision NOT NULL,
    CONSTRAINT modifiers_adjustment_factor CHECK (((adjustment_factor >= (0)::double precision) AND (adjustment_factor < 'Infinity'::double precision))),
    CONSTRAINT modifiers_fee_percentage CHECK (((fee_percentage >= (0)::double precision) AND (fee_percentage < 'Infinity'::double precision))),
    CONSTRAINT modifiers_only CHECK (("only" = 1)),
    CONSTRAINT modifiers_target_margin CHECK (((target_margin >= (0)::double precision) AND (target_margin < 'Infinity'::double precision)))
);

CREATE TABLE step_answer (
    cycle_id text NOT NULL,
    step text NOT NULL,
    epoch bigint NOT NULL,
    answer bytea NOT NULL,
    answer_time timestamp with time zone NOT NULL
);

ALTER TABLE ONLY caller_epoch
    ADD CONSTRAINT caller_epoch_pkey PRIMARY KEY (caller);

ALTER TABLE ONLY hedge
    ADD CONSTRAINT hedge_pkey PRIMARY KEY (id);

ALTER TABLE ONLY hedge
    ADD CONSTRAINT hedge_wallet_asset UNIQUE (wallet, asset);

ALTER TABLE ONLY link_change
    ADD CONSTRAINT link_change_pkey PRIMARY KEY (id);

ALTER TABLE ONLY modifiers
    ADD CONSTRAINT modifiers_pkey PRIMARY KEY ("only");

ALTER TABLE ONLY step_answer
    ADD CONSTRAINT step_answer_pkey PRIMARY KEY (cycle_id, step);

CREATE INDEX ix_link_change_change_time ON link_change USING btree (change_time);

CREATE INDEX ix_step_answer_answer_time ON step_answer USING btree (answer_time);

CREATE INDEX link_change_hedge ON link_change USING btree (hedge_id, id);

REVOKE DELETE ON TABLE caller_epoch FROM hedges;

REVOKE UPDATE ON TABLE link_change FROM hedges;
