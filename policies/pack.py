"""The rules of the pack, and nothing else."""

from policies.rules.access import credential_source, default_credential, exposure, plain_secret, rbac_min, sa_token
from policies.rules.availability import pdb_sane, probes, spread
from policies.rules.gpu import gpu_quota, gpu_runs_image_cuda, gpu_spec
from policies.rules.images import big_image, image_pinned, image_registry, image_role, ray_version_features
from policies.rules.operations import (
    apply_mode,
    await_honest,
    crd_first,
    custom_resource_awaited,
    job_hygiene,
    no_blind_release,
)
from policies.rules.pods import pod_security
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
from policies.rules.state import (
    backup_present,
    config_rolls_pods,
    feast_registry_shared,
    no_orphan_pvc,
    stateful_protect,
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
    image_role.RULE,
    ray_version_features.RULE,
    image_pinned.RULE,
    image_registry.RULE,
    big_image.RULE,
    plain_secret.RULE,
    default_credential.RULE,
    credential_source.RULE,
    rbac_min.RULE,
    exposure.RULE,
    sa_token.RULE,
    pod_security.RULE,
    no_orphan_pvc.RULE,
    stateful_protect.RULE,
    backup_present.RULE,
    feast_registry_shared.RULE,
    config_rolls_pods.RULE,
    probes.RULE,
    pdb_sane.RULE,
    spread.RULE,
    await_honest.RULE,
    custom_resource_awaited.RULE,
    no_blind_release.RULE,
    crd_first.RULE,
    apply_mode.RULE,
    job_hygiene.RULE,
)
