"""What models ask for: one service is the input of one kind of model, in training and in serving."""

from entities import OWNER
from feast import FeatureService
from feature_views import (
    carbon_intensity,
    commodity_fundamentals,
    commodity_intraday,
    commodity_prices,
    price_signals,
)

commodity_price_forecast = FeatureService(
    name="commodity_price_forecast",
    description="Inputs of price forecasts, by commodity_code and the region_code of a power market.",
    features=[commodity_prices, commodity_intraday, commodity_fundamentals, carbon_intensity, price_signals],
    owner=OWNER,
)
