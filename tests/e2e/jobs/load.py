"""More work than the cluster may ever have CPUs for, until the job is stopped; prints the pod of every piece."""

import socket
import time

import ray


@ray.remote(num_cpus=1)
def work() -> str:
    time.sleep(5)
    return socket.gethostname()


ray.init(logging_level="error")
pieces = [work.remote() for _ in range(20)]
while pieces:
    (done,), pieces = ray.wait(pieces)
    print("POD", ray.get(done), flush=True)
    pieces.append(work.remote())
