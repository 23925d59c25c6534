"""Serves prices that it reads from Feast, as part of the trace of whoever asks; it stays when the job has ended."""

import os
from typing import Any

import aiohttp
import ray
from opentelemetry import propagate
from ray import serve


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Price:
    async def __call__(self) -> Any:
        headers: dict[str, str] = {}
        propagate.inject(headers)
        asked = {"features": ["commodity_prices:settlement_price"], "entities": {"commodity_code": ["none"]}}
        url = f"{os.environ['FEAST_SERVER_URL']}/get-online-features"
        async with aiohttp.ClientSession() as session, session.post(url, json=asked, headers=headers) as answer:
            return (await answer.json())["metadata"]


ray.init(logging_level="error")
serve.start(proxy_location="HeadOnly", http_options={"host": "0.0.0.0"})  # noqa: S104 in a pod
serve.run(Price.bind(), name="price", route_prefix="/price")
print("SERVED", "true")
