"""The rules of the pack, and nothing else."""

from policies.rules.access import credential_source, default_credential, exposure, plain_secret, rbac_min, sa_token
from policies.rules.gpu import gpu_runs_image_cuda
from policies.rules.images import big_image, image_pinned, image_registry, image_role, ray_version_features
from policies.rules.pods import pod_security
from policies.rules.quota import quota_covers_demand

RULES = (
    quota_covers_demand.RULE,
    gpu_runs_image_cuda.RULE,
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
)
