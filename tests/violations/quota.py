"""Faults of quotas, of what they count, and of what is said about sizes, autoscalers and GPUs."""

from tests.violations.violation import Violation, drop, put

QUOTA = "ResourceQuota/data-platform-quota"
DEFAULTS = "LimitRange/data-platform-defaults"
CLUSTER = "RayCluster/ray-cluster"
MLFLOW = "Deployment/mlflow"
AUTOSCALER = "HorizontalPodAutoscaler/mlflow"
HARD = ("spec", "hard")
LIMITS = ("spec", "limits", 0)
CPU_GROUP, GPU_GROUP = (("spec", "workerGroupSpecs", index) for index in (0, 1))
PODS = ("spec", "template", "spec")

FOR_THE_ENDING = {
    "scopes": ["Terminating"],
    "hard": {
        "requests.cpu": "40",
        "limits.cpu": "60",
        "pods": "60",
        "requests.nvidia.com/gpu": "4",
        "requests.memory": "160Gi",
        "limits.memory": "200Gi",
    },
}

VIOLATIONS = (
    Violation("quota-present", "a quota without a bound for claims", QUOTA, drop(*HARD, "persistentvolumeclaims")),
    Violation("quota-present", "a quota for pods that end", QUOTA, put(FOR_THE_ENDING, "spec"), also=("gpu-quota",)),
    Violation("quota-covers-demand", "a quota of two pods", QUOTA, put("2", *HARD, "pods")),
    Violation(
        "quota-covers-demand",
        "a worker group that may grow past the quota",
        CLUSTER,
        put(45, *CPU_GROUP, "maxReplicas"),
    ),
    Violation("quota-fits-cluster", "a quota of 89 CPUs on 88", QUOTA, put("89", *HARD, "requests.cpu")),
    Violation("quota-fits-cluster", "limits for more memory than there is", QUOTA, put("1Ti", *HARD, "limits.memory")),
    Violation(
        "storage-sum",
        "a quota by storage class, and claims that name none",
        QUOTA,
        put("1Ti", *HARD, "fast.storageclass.storage.k8s.io/requests.storage"),
        stacks=("dev",),
    ),
    Violation(
        "resources-set",
        "a container without a memory limit",
        MLFLOW,
        drop(*PODS, "containers", 0, "resources", "limits", "memory"),
    ),
    Violation(
        "resources-set",
        "a worker without a CPU limit, which the quota counts",
        CLUSTER,
        drop(*CPU_GROUP, "template", "spec", "containers", 0, "resources", "limits", "cpu"),
    ),
    Violation("limitrange-coherent", "no default for CPU limits", DEFAULTS, drop(*LIMITS, "default", "cpu")),
    Violation("limitrange-coherent", "containers above a maximum", DEFAULTS, put({"memory": "1Gi"}, *LIMITS, "max")),
    Violation(
        "limitrange-coherent",
        "a GPU for every container",
        DEFAULTS,
        put({"nvidia.com/gpu": "1"}, *LIMITS, "max"),
        also=("quota-covers-demand",),
    ),
    Violation(
        "autoscaler-bounds",
        "an autoscaler at a fixed maximum",
        AUTOSCALER,
        put(2, "spec", "maxReplicas"),
        stacks=("prod",),
    ),
    Violation("autoscaler-bounds", "a worker group that cannot shrink", CLUSTER, put(7, *GPU_GROUP, "minReplicas")),
    Violation(
        "autoscaler-bounds",
        "a worker group without a maximum",
        CLUSTER,
        drop(*CPU_GROUP, "maxReplicas"),
        also=("quota-covers-demand",),
    ),
    Violation(
        "hpa-target",
        "an autoscaler of a Deployment that is not there",
        AUTOSCALER,
        put("mlflw", "spec", "scaleTargetRef", "name"),
        stacks=("prod",),
    ),
    Violation(
        "hpa-target", "replicas pinned beside an autoscaler", MLFLOW, put(6, "spec", "replicas"), stacks=("prod",)
    ),
    Violation("gpu-quota", "GPUs that no quota counts", QUOTA, drop(*HARD, "requests.nvidia.com/gpu")),
    Violation("gpu-quota", "a key that Kubernetes does not count", QUOTA, put("16", *HARD, "limits.nvidia.com/gpu")),
    Violation("gpu-quota", "a quota of more GPUs than there are", QUOTA, put("17", *HARD, "requests.nvidia.com/gpu")),
    Violation(
        "gpu-spec",
        "more GPUs than the container has, told to Ray",
        CLUSTER,
        put("4", *GPU_GROUP, "rayStartParams", "num-gpus"),
    ),
    Violation(
        "gpu-spec",
        "a GPU worker that no GPU node lets in",
        CLUSTER,
        drop(*GPU_GROUP, "template", "spec", "tolerations"),
    ),
    Violation(
        "gpu-runs-image-cuda",
        "an image whose CUDA a K80 cannot run",
        CLUSTER,
        put("ml-platform/ray-gpu:2.60.0-cuda12.1", *GPU_GROUP, "template", "spec", "containers", 0, "image"),
    ),
    Violation(
        "scratch-bounded",
        "an emptyDir without a size",
        MLFLOW,
        drop(*PODS, "volumes", 0, "emptyDir", "sizeLimit"),
    ),
    Violation(
        "scratch-bounded",
        "an object store above its shared memory",
        CLUSTER,
        put("68719476736", *GPU_GROUP, "rayStartParams", "object-store-memory"),
    ),
)
