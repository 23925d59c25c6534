"""What is wrong with the platform that the reports describe: a fault a row, and what no rule catches."""

from tests.policies.reported import Fault, Gap, Repair, add, put, remove, small_sidecars

_POD = ("spec", "template", "spec")
_ANNOTATIONS = ("spec", "template", "metadata", "annotations")
_NATIVE = "sidecar.istio.io/nativeSidecar"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_OPERATOR = "Deployment/data-platform/ray-operator"
_CLUSTER = "RayCluster/data-platform/ray-cluster"
_HEAD = "StatefulSet/data-platform/ray-head"
_WORKER = "Deployment/data-platform/ray-worker"
_GPU = "Deployment/data-platform/ray-gpu-worker"
_FEAST = "Deployment/data-platform/feast-server"
_MLFLOW = "Deployment/data-platform/mlflow"
_NAMESPACE = "Namespace/data-platform"
_QUOTA = "ResourceQuota/data-platform/data-platform-quota"
_PASSWORD = "kV3nQ8wZr1Tb6yLp0sXd"
_DIGEST = f"@sha256:{'0123456789abcdef' * 4}"
_OWN_IMAGE = put(_OPERATOR, *_POD, "containers", 0, "image", to="kuberay/operator:v1.0.0")
_SMALL_IMAGE = "rayproject/ray:2.9.0"
_SECRETS = "Secret/data-platform/mlflow-secrets"
_NATIVE_PATH = f'spec.template.metadata.annotations["{_NATIVE}"]'
_LOGIN = {"name": "oauth2-proxy", "port": {"number": 4180}}
_SQL_REGISTRY = """
project: commodity
provider: local
registry: {registry_type: sql, path: "postgresql://${POSTGRES_USER}:${POSTGRES_PASSWORD}@postgres-shared:5432/feast"}
"""
_RETENTION = {"whenDeleted": "Retain", "whenScaled": "Retain"}
_STRICT = add(
    """
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: default, namespace: data-platform}
    spec: {mtls: {mode: STRICT}}
    """
)
_DENY_NETWORK = add(
    """
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: data-platform}
    spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
    """
)
_DENY_CALLS = add(
    """
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: default-deny, namespace: data-platform}
    spec: {}
    """
)
_ALLOW_MLFLOW = add(
    """
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: mlflow, namespace: data-platform}
    spec:
      selector: {matchLabels: {app: mlflow}}
      rules: [{from: [{source: {namespaces: [data-platform]}}], to: [{operation: {ports: ["5000"]}}]}]
    """
)
_DORIS = add(
    """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: doris-be, namespace: data-platform}
    spec:
      selector: {matchLabels: {app: doris-be}}
      template:
        metadata: {labels: {app: doris-be}}
        spec:
          containers: [{name: doris-be, image: "not-told.example/doris-be:1"}]
          volumes: [{name: data, persistentVolumeClaim: {claimName: be-storage-doris-be-0}}]
    """
)


def _disruption_budget(app: str) -> Repair:
    return add(
        f"""
        apiVersion: policy/v1
        kind: PodDisruptionBudget
        metadata: {{name: {app}, namespace: data-platform}}
        spec: {{maxUnavailable: 1, selector: {{matchLabels: {{app: {app}}}}}}}
        """
    )


_IMAGE = (*_POD, "containers", 0, "image")
_IMAGE_PATH = "spec.template.spec.containers[0].image"

FAULTS = (
    Fault(
        "R1", "Ray's image in place of the operator's", "001 1.1; 000 phase 1.1",
        "earlier", "image-role", f"{_OPERATOR} {_IMAGE_PATH}",
        _OWN_IMAGE,
    ),
    Fault(
        "R1", "a command that overrides the operator's own (it shows once the image is right)", "001 1.1",
        "earlier", "image-role", f"{_OPERATOR} spec.template.spec.containers[0].command",
        remove(_OPERATOR, *_POD, "containers", 0, "command"), behind=_OWN_IMAGE,
    ),
    Fault(
        "R1", "the operator's image by a tag alone", "001 1.1",
        "final", "image-pinned", f"{_OPERATOR} {_IMAGE_PATH}",
        put(_OPERATOR, *_IMAGE, to=f"kuberay/operator{_DIGEST}"),
    ),
    Fault(
        "R3", "CRDs applied by the client, for which RayJob's was too large", '000 "Known Issues" 1',
        "final", "apply-mode", f'CustomResourceDefinition/rayclusters.ray.io metadata.annotations["{_LAST_APPLIED}"]',
        remove("CustomResourceDefinition/rayclusters.ray.io", "metadata", "annotations", _LAST_APPLIED),
    ),
    Fault(
        "R6", "an image of 4 to 5 GB, and workers that wait 90 minutes for it", '000 "Known Issues" 2; 001 3.1',
        "earlier", "big-image", f"{_CLUSTER} spec.workerGroupSpecs[0].template.spec.containers[0].image",
        put(_CLUSTER, "spec", "workerGroupSpecs", 0, "template", "spec", "containers", 0, "image", to=_SMALL_IMAGE),
    ),
    Fault(
        "R6", "the same image without KubeRay; the third worker waits", '002 "Known items"',
        "final", "big-image", f"{_WORKER} {_IMAGE_PATH}",
        put(_WORKER, *_IMAGE, to=_SMALL_IMAGE),
    ),
    Fault(
        "R6", "Ray's image by a tag alone", '000 "Known Issues" 2',
        "final", "image-pinned", f"{_HEAD} {_IMAGE_PATH}",
        put(_HEAD, *_IMAGE, to=f"rayproject/ray-ml{_DIGEST}"),
    ),
    Fault(
        "R7", "minioadmin for Ray", '001 3.1; 004 "Artifact Storage"',
        "final", "default-credential", "Secret/data-platform/minio-credentials stringData.AWS_SECRET_ACCESS_KEY",
        put("Secret/data-platform/minio-credentials", "stringData", "AWS_SECRET_ACCESS_KEY", to=_PASSWORD),
    ),
    Fault(
        "R8", "GPUs that no quota counts", '000 "Future Enhancements"; 002 "Next steps"',
        "next", "gpu-quota", f"{_GPU} spec.template.spec",
        put(_QUOTA, "spec", "hard", "requests.nvidia.com/gpu", to="16"),
    ),
    Fault(
        "R8", "GPUs of whatever model", '000 "Future Enhancements"; 002 "Next steps"',
        "next", "gpu-runs-image-cuda", f"{_GPU} spec.template.spec",
        put(_GPU, *_POD, "nodeSelector", to={"nvidia.com/gpu.product": "Tesla-K80"}),
    ),
    Fault(
        "R8", "an image of which nobody knows that a K80 runs it", '000 "Known Issues" 2; 002 "Next steps"',
        "next", "gpu-runs-image-cuda", f"{_GPU} {_IMAGE_PATH}",
        put(_GPU, *_IMAGE, to="ml-platform/ray-gpu:2.9.0-cuda11.4"),
    ),
    Fault(
        "R8", "GPU nodes that Ray's pods do not tolerate", '002 "Infrastructure", "Next steps"',
        "next", "gpu-spec", f"{_GPU} spec.template.spec.tolerations",
        put(_GPU, *_POD, "tolerations", to=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]),
    ),
    Fault(
        "F1", "two replicas of Feast, and no disruption budget among what was made",
        '000 phase 3; 003 "Kubernetes resources"',
        "final", "pdb-sane", _FEAST,
        _disruption_budget("feast-server"),
    ),
    Fault(
        "F5", "a file registry \"for simplicity\" under two replicas", '000 phase 3, "Feast Feature Store"',
        "final", "feast-registry-shared", _FEAST,
        put("ConfigMap/data-platform/feast-config", "data", "feature_store.yaml", to=_SQL_REGISTRY),
    ),
    Fault(
        "M1", "two replicas of MLflow, and no disruption budget among what was made",
        '004 "File Structure", "High Availability"',
        "final", "pdb-sane", _MLFLOW,
        _disruption_budget("mlflow"),
    ),
    Fault(
        "M1", "MLflow's image by a tag alone", '004 "Technical Specifications"',
        "final", "image-pinned", f"{_MLFLOW} {_IMAGE_PATH}",
        put(_MLFLOW, *_IMAGE, to=f"ghcr.io/mlflow/mlflow{_DIGEST}"),
    ),
    Fault(
        "M3", "a default password for PostgreSQL", '004 "Security Checklist"',
        "final", "default-credential", f"{_SECRETS} stringData.POSTGRES_PASSWORD",
        put(_SECRETS, "stringData", "POSTGRES_PASSWORD", to=_PASSWORD),
    ),
    Fault(
        "M3", "the same inside the URI of the backend store", '004 "Deliverables Completed" 1',
        "final", "default-credential", f"{_SECRETS} stringData.BACKEND_STORE_URI",
        put(_SECRETS, "stringData", "BACKEND_STORE_URI", to=f"postgresql://mlflow:{_PASSWORD}@postgres-shared:5432/mlflow"),
    ),
    Fault(
        "M4", "minioadmin for MLflow's artifacts", '004 "Quick Start" 2, "Artifact Storage", "Security Checklist"',
        "final", "default-credential", f"{_SECRETS} stringData.AWS_SECRET_ACCESS_KEY",
        put(_SECRETS, "stringData", "AWS_SECRET_ACCESS_KEY", to=_PASSWORD),
    ),
    Fault(
        "M6", "MLflow open to the internet, on the word of headers", '004 "Deliverables Completed" 3, "Networking"',
        "final", "exposure", "Ingress/data-platform/mlflow spec.rules[0].http.paths[0].backend.service.port.number",
        put("Ingress/data-platform/mlflow", "spec", "rules", 0, "http", "paths", 0, "backend", "service", to=_LOGIN),
    ),
    Fault(
        "G1", "Feast open to whoever reaches Kong", '000 "ML Platform Architecture"',
        "final", "exposure",
        "Ingress/data-platform/ml-features spec.rules[0].http.paths[0].backend.service.port.number",
        put(
            "Ingress/data-platform/ml-features", "spec", "rules", 0, "http", "paths", 0, "backend", "service",
            to=_LOGIN,
        ),
    ),
    Fault(
        "S1", "Ray PERMISSIVE: its dashboard, client and state take plain text", '003 "Security posture"',
        "final", "effective-strict", f"{_HEAD} every port",
        _STRICT,
    ),
    Fault(
        "S1", "the same for Ray's workers", '003 "Security posture"',
        "final", "effective-strict", f"{_WORKER} every port",
        _STRICT,
    ),
    Fault(
        "S1", "one PeerAuthentication, for Feast, and none for the namespace", '003 "Kubernetes resources"',
        "final", "mesh-strict", _NAMESPACE,
        _STRICT,
    ),
    Fault(
        "S2", "12 NetworkPolicies, of which none is said to deny by default",
        '003 "Security posture"; 004 "Security Checklist"',
        "final", "netpol-cover", _NAMESPACE,
        _DENY_NETWORK,
    ),
    Fault(
        "S2", "two AuthorizationPolicies, for Ray and Feast, and none that denies by default",
        '003 "Kubernetes resources"',
        "final", "authz-default-deny", _NAMESPACE,
        _DENY_CALLS,
    ),
    Fault(
        "S2", "the same: none for MLflow, so its sidecar lets everyone in",
        '000 phase 3, "ML Security"; 003 "Kubernetes resources"',
        "final", "authz-default-deny", _MLFLOW,
        _ALLOW_MLFLOW,
    ),
    Fault(
        "S2", "two ServiceAccounts, of the operator and Feast; Ray has none", '003 "Kubernetes resources"',
        "final", "sa-token", f"{_HEAD} spec.template.spec.serviceAccountName",
        put(_HEAD, *_POD, "serviceAccountName", to="ray-head"),
    ),
    Fault(
        "S3", "Jobs that stay NotReady, since the sidecar does not end", '000 "Known Issues" 3; 003 "Known issues" 3',
        "final", "job-mesh-safe", f'CronJob/data-platform/datahub-postgres-ingestion spec.jobTemplate.{_NATIVE_PATH}',
        put(
            "CronJob/data-platform/datahub-postgres-ingestion",
            "spec", "jobTemplate", *_ANNOTATIONS, _NATIVE,
            to="true",
        ),
    ),
    Fault(
        "F3", "the same for the Job that makes Feast's database", '000 "Files Deployed" 3',
        "final", "job-mesh-safe", f"Job/data-platform/feast-db-init {_NATIVE_PATH}",
        put("Job/data-platform/feast-db-init", *_ANNOTATIONS, _NATIVE, to="true"),
    ),
    Fault(
        "T1", "the same for the Job that tests everything", '000 "Files Deployed" 8',
        "final", "job-mesh-safe", f"Job/data-platform/ml-e2e-test {_NATIVE_PATH}",
        put("Job/data-platform/ml-e2e-test", *_ANNOTATIONS, _NATIVE, to="true"),
    ),
    Fault(
        "S3", "Superset in Init:1/3: its sidecar cuts init containers off from PostgreSQL", "001 1.2",
        "earlier", "job-mesh-safe", f"Deployment/data-platform/superset-web {_NATIVE_PATH}",
        put("Deployment/data-platform/superset-web", *_ANNOTATIONS, _NATIVE, to="true"),
    ),
    Fault(
        "S3", "Ray's workers in Init:1/2, which the reports put down to the image alone", '000 "Known Issues" 2',
        "earlier", "job-mesh-safe",
        f'{_CLUSTER} spec.workerGroupSpecs[0].template.metadata.annotations["{_NATIVE}"]',
        put(_CLUSTER, "spec", "workerGroupSpecs", 0, "template", "metadata", "annotations", _NATIVE, to="true"),
    ),
    Fault(
        "S3", "Superset rolled back to a pod without a sidecar", "001 1.2",
        "final", "injected",
        'Deployment/data-platform/superset-web spec.template.metadata.annotations["sidecar.istio.io/inject"]',
        remove("Deployment/data-platform/superset-web", *_ANNOTATIONS, "sidecar.istio.io/inject"),
    ),
    Fault(
        "Q1", "a quota of 160 CPUs that nobody had added up, more than half of it for sidecars", "000 phase 2; 001 3.1",
        "earlier", "quota-covers-demand", f'{_QUOTA} spec.hard["limits.cpu"]',
        small_sidecars,
    ),
    Fault(
        "Q4", "claims of which nobody says what becomes of them", '000 phase 2, "Storage"; 001 2.2',
        "final", "no-orphan-pvc",
        "StatefulSet/data-platform/postgres-shared spec.persistentVolumeClaimRetentionPolicy.whenDeleted",
        put("StatefulSet/data-platform/postgres-shared", "spec", "persistentVolumeClaimRetentionPolicy", to=_RETENTION),
    ),
    Fault(
        "Q4", "the same for MLflow's artifacts", '000 phase 2, "Storage"; 001 2.2',
        "final", "no-orphan-pvc",
        "StatefulSet/data-platform/minio spec.persistentVolumeClaimRetentionPolicy.whenDeleted",
        put("StatefulSet/data-platform/minio", "spec", "persistentVolumeClaimRetentionPolicy", to=_RETENTION),
    ),
    Fault(
        "Q4", "claims that nothing mounts", "000 phase 2; 001 2.2",
        "earlier", "no-orphan-pvc", "PersistentVolumeClaim/data-platform/be-storage-doris-be-0 metadata.name",
        _DORIS,
    ),
    Fault(
        "Q4", "Services that lead nowhere", "000 phase 2; 001 2.2",
        "earlier", "no-dangling", "Service/data-platform/doris-be spec.selector",
        _DORIS,
    ),
)  # fmt: skip

GAPS = (
    Gap(
        "R2", "the operator lacked permissions", "000 phase 1.1; 001 1.1, 3.1",
        "no rule knows what an operator needs, only what is too much",
        place="Role/data-platform/ray-operator",
    ),
    Gap(
        "R3", "RayJob's CRD is missing, and the operator crash-loops on it", '000 "Known Issues" 1',
        "no rule knows which kinds an operator watches; crd-first asks for the CRD of an object that there is, and "
        "asks it of programs only",
    ),
    Gap(
        "R5", "autoscaling from 1 to 5 was promised; the workers are a Deployment of a fixed size",
        '000 "Resource Allocation"; 002 "ML Infrastructure"',
        "no rule demands an autoscaler, for Feast and MLflow neither; autoscaler-bounds and hpa-target judge those "
        "there are",
        place=f"{_WORKER} spec.replicas",
    ),
    Gap(
        "R9", "whoever reaches Ray's dashboard or client port runs what he likes", '000 phase 3, "ML Security"',
        "no rule demands Ray's authentication by token; exposure, effective-strict and authz-default-deny judge who "
        "reaches it",
        place="Service/data-platform/ray-head",
    ),
    Gap(
        "R11", "Ray outside of KubeRay: nothing is asked of its release, ports and memory", '002 "Fixes Applied"',
        "image-role, ray-version-features, ray-mesh and scratch-bounded know Ray by its kinds, not by its image",
        place=_HEAD, rules=("image-role", "ray-version-features", "ray-mesh", "scratch-bounded"),
    ),
    Gap(
        "F2", "6567 is called gRPC, which Feast does not speak there", '002 "Services available"',
        "port-protocol sees that a protocol is said, not whether it is true",
        place="Service/data-platform/feast-server",
    ),
    Gap(
        "M4", "MinIO itself is minioadmin where it is told nothing", '004 "Artifact Storage"',
        "default-credential judges what stands in a Secret, not what an image does without one",
        place="StatefulSet/data-platform/minio spec.template.spec.containers[0].env",
    ),
    Gap(
        "M6", "the headers of Cloudflare Access are believed, not verified", '004 "Deliverables Completed" 3',
        "exposure wants to be told that there is authentication (`published`), and believes it",
        place="Ingress/data-platform/mlflow metadata",
    ),
    Gap(
        "M14", "certificates of the artifact store are not verified", '004 "Security Checklist"',
        "no rule reads this switch (MLFLOW_S3_IGNORE_TLS)",
        place="ConfigMap/data-platform/mlflow-config",
    ),
    Gap(
        "M14", "no encryption of backups, rotation, audit log", '004 "Security Checklist"',
        "no rule asks for them; backup-present asks for a backup alone",
        place="Schedule/velero/daily",
    ),
    Gap(
        "M3", "database, user and bucket made by hand in a pod", '004 "Quick Start" 1, 2',
        "it is in no manifest",
    ),
    Gap(
        "G1", "Ray Serve open to whoever reaches Kong", '000 "ML Platform Architecture"',
        "exposure guards MLflow and Feast; Serve's port 8000 is not in its list, and no rule asks Kong for a key",
        place="Ingress/data-platform/ml-serve",
    ),
    Gap(
        "Q4", "claims of a deployment that is gone, in a cluster that nobody compares", "000 phase 2; 001 2.2",
        "the pack judges manifests: a claim is found as an orphan only where it is among them",
    ),
    Gap(
        "T2", "an operator that crash-loops counts as functional", '000 "Final Platform State"; 002 "Known items"',
        "no manifest says how its pods are; await-honest judges what an update waits for",
        place=_OPERATOR, rules=("await-honest",),
    ),
    Gap(
        "N1", "DataHub's recipe had fields that contradict each other; DolphinScheduler is twice as large as it needs",
        "001 1.3, 2.3",
        "no rule reads recipes, or knows use",
        place="StatefulSet/data-platform/dolphinscheduler-worker spec.template.spec.containers[0].resources",
    ),
)  # fmt: skip
