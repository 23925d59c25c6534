"""Features by entity and cadence; names are unique across views, so an answer needs no prefixes."""

from datetime import timedelta

import pandas as pd
from entities import OWNER, commodity, region
from feast import FeatureView, Field
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String
from sources import (
    carbon_intensity_table,
    commodity_fundamentals_table,
    commodity_intraday_push,
    commodity_prices_table,
)

commodity_prices = FeatureView(
    name="commodity_prices",
    description="Daily settlement of the front contract and its recent history.",
    entities=[commodity],
    source=commodity_prices_table,
    ttl=timedelta(days=7),
    schema=[
        Field(name="commodity_code", dtype=String),
        Field(name="settlement_price", dtype=Float64, description="In the contract's currency and unit."),
        Field(name="daily_return", dtype=Float64, description="Against the settlement before; 0.01 is one percent."),
        Field(name="moving_average_5d", dtype=Float64, description="Mean settlement of 5 trading days."),
        Field(name="moving_average_20d", dtype=Float64, description="Mean settlement of 20 trading days."),
        Field(name="volatility_20d", dtype=Float64, description="Deviation of 20 daily returns, not annualised."),
        Field(name="volume", dtype=Int64, description="Contracts traded on the day."),
    ],
    owner=OWNER,
    tags={"cadence": "daily"},
)

commodity_intraday = FeatureView(
    name="commodity_intraday",
    description="The running session of the front contract.",
    entities=[commodity],
    source=commodity_intraday_push,
    ttl=timedelta(days=1),
    schema=[
        Field(name="commodity_code", dtype=String),
        Field(name="last_price", dtype=Float64, description="Last trade, in the settlement price's unit."),
        Field(name="session_volume", dtype=Int64, description="Contracts traded since the session's start."),
    ],
    owner=OWNER,
    tags={"cadence": "intraday"},
)

commodity_fundamentals = FeatureView(
    name="commodity_fundamentals",
    description="Inventories, in the commodity's own unit: million barrels, billion cubic feet, million allowances.",
    entities=[commodity],
    source=commodity_fundamentals_table,
    ttl=timedelta(days=35),
    schema=[
        Field(name="commodity_code", dtype=String),
        Field(name="inventory", dtype=Float64, description="Stock at the end of the period."),
        Field(name="inventory_change", dtype=Float64, description="Against the period before; negative is a draw."),
        Field(name="inventory_to_5y_average", dtype=Float64, description="Stock over its seasonal mean; 1 is normal."),
        Field(name="days_of_supply", dtype=Float64, description="Stock over mean daily demand, in days."),
    ],
    owner=OWNER,
    tags={"cadence": "weekly"},
)

carbon_intensity = FeatureView(
    name="carbon_intensity",
    description="What power generation in a region emits, which drives fuel and allowance demand.",
    entities=[region],
    source=carbon_intensity_table,
    ttl=timedelta(days=1),
    schema=[
        Field(name="region_code", dtype=String),
        Field(name="average_intensity", dtype=Float64, description="Of all generation, in g CO2 per kWh."),
        Field(name="marginal_intensity", dtype=Float64, description="Of the price-setting plant, in g CO2 per kWh."),
        Field(name="renewable_share", dtype=Float64, description="Of all generation, from 0 to 1."),
    ],
    owner=OWNER,
    tags={"cadence": "hourly"},
)


# Feast compares these fields with those it infers, descriptions included, so they have none. Servers run the function
# from its stored source, where `pd` and `np` are the only globals.
@on_demand_feature_view(
    sources=[commodity_prices, commodity_intraday],
    schema=[
        Field(name="spread_to_moving_average", dtype=Float64),
        Field(name="intraday_return", dtype=Float64),
        Field(name="intraday_z_score", dtype=Float64),
    ],
    mode="pandas",
    description="How far prices are from where they were, computed when asked.",
    owner=OWNER,
    tags={"cadence": "on demand"},
)
def price_signals(inputs: pd.DataFrame) -> pd.DataFrame:
    """Distances of the latest prices.

    Args:
        inputs: One row per request row, with the features of both sources; any of them may be missing.

    Returns:
        For each row the settlement over its 20-day mean (in the price's unit), the session's return since the
        settlement (0.01 is one percent) and that return in daily deviations. Null where an input is missing, where
        the settlement is not positive (a return means nothing then) and where there is no volatility.
    """
    positive = inputs[["settlement_price", "volatility_20d"]].where(lambda value: value > 0)
    signals = pd.DataFrame(index=inputs.index)
    signals["spread_to_moving_average"] = inputs["settlement_price"] - inputs["moving_average_20d"]
    signals["intraday_return"] = inputs["last_price"] / positive["settlement_price"] - 1
    signals["intraday_z_score"] = signals["intraday_return"] / positive["volatility_20d"]
    return signals
