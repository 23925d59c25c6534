"""Two rounds of tasks that each take a whole CPU; prints the pods they ran on."""

import json
import socket
import time

import ray


@ray.remote(num_cpus=1)
def where() -> str:
    time.sleep(3)
    return socket.gethostname()


ray.init(logging_level="error")
print("PODS", json.dumps(sorted(set(ray.get([where.remote() for _ in range(4)])))))
