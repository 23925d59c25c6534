"""The rules of the pack, and nothing else."""

from policies.rules.gpu import gpu_quota, gpu_runs_image_cuda, gpu_spec
from policies.rules.mesh import (
    authz_default_deny,
    authz_refs,
    dr_tls,
    effective_strict,
    injected,
    job_mesh_safe,
    mesh_strict,
    netpol_cover,
    no_bypass,
    no_dangling,
    ray_mesh,
)
from policies.rules.quota import (
    autoscaler_bounds,
    hpa_target,
    limitrange_coherent,
    quota_covers_demand,
    quota_fits_cluster,
    quota_present,
    resources_set,
    scratch_bounded,
    storage_sum,
)

RULES = (
    quota_present.RULE,
    quota_covers_demand.RULE,
    resources_set.RULE,
    limitrange_coherent.RULE,
    autoscaler_bounds.RULE,
    storage_sum.RULE,
    quota_fits_cluster.RULE,
    hpa_target.RULE,
    scratch_bounded.RULE,
    gpu_runs_image_cuda.RULE,
    gpu_quota.RULE,
    gpu_spec.RULE,
    effective_strict.RULE,
    mesh_strict.RULE,
    authz_default_deny.RULE,
    dr_tls.RULE,
    injected.RULE,
    netpol_cover.RULE,
    job_mesh_safe.RULE,
    ray_mesh.RULE,
    no_bypass.RULE,
    authz_refs.RULE,
    no_dangling.RULE,
)
