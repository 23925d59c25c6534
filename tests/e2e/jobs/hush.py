"""Ends Ray Serve and all that it serves."""

import ray
from ray import serve

ray.init(logging_level="error")
serve.shutdown()
print("SERVED", "false")
