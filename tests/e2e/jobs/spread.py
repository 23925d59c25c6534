"""More tasks of a whole CPU than one worker ends before the autoscaler adds another; prints the pods they ran on."""

import json
import socket
import time

import ray


@ray.remote(num_cpus=1)
def where() -> str:
    time.sleep(5)
    return socket.gethostname()


ray.init(logging_level="error")
print("PODS", json.dumps(sorted(set(ray.get([where.remote() for _ in range(12)])))))
