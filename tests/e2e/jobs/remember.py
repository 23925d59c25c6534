"""Counts in an actor that outlives this job; prints the count, which is 1 where the cluster has forgotten it."""

import ray

ray.init(namespace="kept", logging_level="error")


@ray.remote(num_cpus=0.1, lifetime="detached", max_restarts=-1)
class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count


counter = Counter.options(name="counter", get_if_exists=True).remote()
print("COUNT", ray.get(counter.add.remote()))
