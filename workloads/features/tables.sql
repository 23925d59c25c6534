-- What `sources.py` reads. A correction is a new row with a later `created`, so that training can ask for what was
-- known at the time. Primary keys serve point-in-time joins; the indexes on time serve materialisation.

CREATE TABLE IF NOT EXISTS commodity_prices (
    commodity_code text NOT NULL,
    event_timestamp timestamptz NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    settlement_price double precision,
    daily_return double precision,
    moving_average_5d double precision,
    moving_average_20d double precision,
    volatility_20d double precision,
    volume bigint,
    PRIMARY KEY (commodity_code, event_timestamp, created)
);
CREATE INDEX IF NOT EXISTS commodity_prices_by_time ON commodity_prices (event_timestamp);

CREATE TABLE IF NOT EXISTS commodity_intraday (
    commodity_code text NOT NULL,
    event_timestamp timestamptz NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    last_price double precision,
    session_volume bigint,
    PRIMARY KEY (commodity_code, event_timestamp, created)
);
CREATE INDEX IF NOT EXISTS commodity_intraday_by_time ON commodity_intraday (event_timestamp);

CREATE TABLE IF NOT EXISTS commodity_fundamentals (
    commodity_code text NOT NULL,
    event_timestamp timestamptz NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    inventory double precision,
    inventory_change double precision,
    inventory_to_5y_average double precision,
    days_of_supply double precision,
    PRIMARY KEY (commodity_code, event_timestamp, created)
);
CREATE INDEX IF NOT EXISTS commodity_fundamentals_by_time ON commodity_fundamentals (event_timestamp);

CREATE TABLE IF NOT EXISTS carbon_intensity (
    region_code text NOT NULL,
    event_timestamp timestamptz NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    average_intensity double precision,
    marginal_intensity double precision,
    renewable_share double precision,
    PRIMARY KEY (region_code, event_timestamp, created)
);
CREATE INDEX IF NOT EXISTS carbon_intensity_by_time ON carbon_intensity (event_timestamp);
