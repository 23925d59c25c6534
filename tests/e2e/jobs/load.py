"""More work than the cluster may ever have CPUs for; prints how much of it ran where."""

import collections
import json
import socket
import time

import ray


@ray.remote(num_cpus=1)
def work() -> str:
    time.sleep(20)
    return socket.gethostname()


ray.init(logging_level="error")
print("PODS", json.dumps(collections.Counter(ray.get([work.remote() for _ in range(20)]))))
