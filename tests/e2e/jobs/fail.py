"""Ends worker processes as a crash does, over several scrapes; the tasks are given up."""

import os
import time

import ray


@ray.remote(max_retries=0, num_cpus=0.1)
def crash() -> None:
    os._exit(1)


ray.init(logging_level="error")
failed = 0
for _ in range(4):
    try:
        ray.get(crash.remote())
    except ray.exceptions.WorkerCrashedError:
        failed += 1
    time.sleep(12)
print("FAILED", "true" if failed == 4 else "false")
