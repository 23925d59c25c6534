"""Tasks of a whole CPU until a second pod has taken some, which the autoscaler adds; prints the pods they ran on."""

import json
import socket
import time

import ray


@ray.remote(num_cpus=1)
def where() -> str:
    time.sleep(5)
    return socket.gethostname()


ray.init(logging_level="error")
pods: set[str] = set()
while len(pods) < 2:
    pods.update(ray.get([where.remote() for _ in range(12)]))
print("PODS", json.dumps(sorted(pods)))
