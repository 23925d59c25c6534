"""Serves what it is asked: path and host; it stays when the job has ended."""

import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Echo:
    async def __call__(self, request: Request) -> dict[str, str]:
        return {"path": request.url.path, "host": request.headers["host"]}


ray.init(logging_level="error")
serve.start(proxy_location="HeadOnly", http_options={"host": "0.0.0.0"})  # noqa: S104 in a pod
serve.run(Echo.bind(), name="echo", route_prefix="/")
print("SERVED", "true")
