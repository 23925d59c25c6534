"""Says something on a worker, which stands in the worker's own log file only; prints the pod that it was said on."""

import json
import socket
import sys

import ray


@ray.remote(num_cpus=1)
def say() -> str:
    print("heard on a worker that goes", file=sys.stderr, flush=True)
    return socket.gethostname()


ray.init(logging_level="error", log_to_driver=False)
print("POD", json.dumps(ray.get(say.remote())))
