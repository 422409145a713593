-- The schema of price and the rows it begins with; later changes are revisions of their own.

CREATE TABLE caller_epoch (
    caller text NOT NULL,
    epoch bigint NOT NULL
);

CREATE TABLE price (
    market smallint NOT NULL,
    asset text NOT NULL,
    quality smallint NOT NULL,
    price_usd double precision,
    price_time timestamp with time zone,
    previous_price_usd double precision,
    previous_price_time timestamp with time zone,
    source text NOT NULL,
    last_good_price_usd double precision,
    last_good_time timestamp with time zone,
    hourly_volatility_ratio double precision,
    volatility_hour_time timestamp with time zone,
    refresh_time timestamp with time zone NOT NULL,
    quotes jsonb NOT NULL,
    revision bigint NOT NULL,
    CONSTRAINT a_price_has_a_time CHECK (((price_usd IS NULL) = (price_time IS NULL))),
    CONSTRAINT hourly_volatility_ratio_is_a_price CHECK (((hourly_volatility_ratio > (0)::double precision) AND (hourly_volatility_ratio < 'Infinity'::double precision))),
    CONSTRAINT last_good_price_usd_is_a_price CHECK (((last_good_price_usd > (0)::double precision) AND (last_good_price_usd < 'Infinity'::double precision))),
    CONSTRAINT previous_price_usd_is_a_price CHECK (((previous_price_usd > (0)::double precision) AND (previous_price_usd < 'Infinity'::double precision))),
    CONSTRAINT price_usd_is_a_price CHECK (((price_usd > (0)::double precision) AND (price_usd < 'Infinity'::double precision))),
    CONSTRAINT times_are_ordered CHECK ((previous_price_time < price_time))
);

CREATE TABLE price_history (
    id bigint NOT NULL,
    market smallint NOT NULL,
    asset text NOT NULL,
    price_usd double precision NOT NULL,
    price_time timestamp with time zone NOT NULL,
    previous_price_usd double precision,
    previous_price_time timestamp with time zone,
    source text NOT NULL,
    quality smallint NOT NULL,
    CONSTRAINT a_previous_price_has_a_time CHECK (((previous_price_usd IS NULL) = (previous_price_time IS NULL))),
    CONSTRAINT history_times_are_ordered CHECK ((previous_price_time < price_time)),
    CONSTRAINT previous_price_usd_is_a_price CHECK (((previous_price_usd > (0)::double precision) AND (previous_price_usd < 'Infinity'::double precision))),
    CONSTRAINT price_usd_is_a_price CHECK (((price_usd > (0)::double precision) AND (price_usd < 'Infinity'::double precision)))
);

ALTER TABLE price_history ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME price_history_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE service_state (
    id smallint NOT NULL,
    market smallint DEFAULT 0 NOT NULL,
    revision bigint DEFAULT 0 NOT NULL,
    demo_start_time timestamp with time zone,
    reset_revision bigint DEFAULT 0 NOT NULL,
    CONSTRAINT one_row CHECK ((id = 1))
);

CREATE TABLE step_answer (
    cycle_id text NOT NULL,
    step text NOT NULL,
    epoch bigint NOT NULL,
    answer bytea NOT NULL,
    answer_time timestamp with time zone NOT NULL
);

INSERT INTO service_state VALUES (1, 0, 0, NULL, 0);

ALTER TABLE ONLY caller_epoch
    ADD CONSTRAINT caller_epoch_pkey PRIMARY KEY (caller);

ALTER TABLE ONLY price_history
    ADD CONSTRAINT price_history_pkey PRIMARY KEY (id);

ALTER TABLE ONLY price
    ADD CONSTRAINT price_pkey PRIMARY KEY (market, asset);

ALTER TABLE ONLY service_state
    ADD CONSTRAINT service_state_pkey PRIMARY KEY (id);

ALTER TABLE ONLY step_answer
    ADD CONSTRAINT step_answer_pkey PRIMARY KEY (cycle_id, step);

CREATE INDEX ix_step_answer_answer_time ON step_answer USING btree (answer_time);

CREATE UNIQUE INDEX price_history_by_time ON price_history USING btree (market, asset, price_time);

REVOKE UPDATE ON TABLE price_history FROM price;

GRANT UPDATE (price_usd, price_time, previous_price_usd, previous_price_time, source, quality) ON TABLE price_history TO price;
