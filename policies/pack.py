"""The rules of the pack, and nothing else."""

from policies.rules.gpu import gpu_runs_image_cuda
from policies.rules.quota import quota_covers_demand, quota_present, resources_set

RULES = (
    quota_present.RULE,
    quota_covers_demand.RULE,
    resources_set.RULE,
    gpu_runs_image_cuda.RULE,
)
