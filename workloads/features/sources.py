"""Where features are read from: the tables of `tables.sql`, and what is pushed between two readings."""

from entities import OWNER
from feast import PushSource
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource


def table(name: str, description: str) -> PostgreSQLSource:
    """A table of `tables.sql`: when each value became valid, and when its row was written (the last one counts)."""
    return PostgreSQLSource(
        name=name,
        table=name,
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
        description=description,
        owner=OWNER,
    )


commodity_prices_table = table("commodity_prices", "Daily settlements of the exchanges.")
commodity_intraday_table = table("commodity_intraday", "Trades of each session, as the feed recorded them.")
commodity_fundamentals_table = table("commodity_fundamentals", "Supply and demand as published, mostly weekly.")
carbon_intensity_table = table("carbon_intensity", "Hourly emissions of power generation.")

commodity_intraday_push = PushSource(
    name="commodity_intraday_push",
    batch_source=commodity_intraday_table,
    description="Trades of the running session, straight into the online store.",
    owner=OWNER,
)
