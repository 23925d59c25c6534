"""Another team's program: a RayJob on the platform's cluster, from the contract alone."""

import sys
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # where another team installs the platform's package

from components.outputs import PlatformOutputs

platform = PlatformOutputs.from_stack("organization/ml-platform/dev")


def submitter(outputs: PlatformOutputs) -> dict[str, object]:
    """The pod that sends the job; the token stays in its Secret."""
    token = outputs.ray.token
    assert token is not None
    small = {"cpu": "200m", "memory": "256Mi"}
    return {
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": outputs.tenancy.service_accounts[0],
            "priorityClassName": outputs.tenancy.priority_classes["batch"],
            "containers": [
                {
                    "name": "submitter",
                    "image": outputs.ray.image,
                    "resources": {"requests": small, "limits": small},
                    "env": [
                        {"name": "RAY_AUTH_MODE", "value": "token"},
                        {
                            "name": "RAY_AUTH_TOKEN",
                            "valueFrom": {"secretKeyRef": {"name": token.name, "key": token.key}},
                        },
                    ],
                }
            ],
        }
    }


k8s.apiextensions.CustomResource(
    "train",
    api_version="ray.io/v1",
    kind="RayJob",
    metadata={"name": "train", "namespace": platform.apply(lambda outputs: outputs.tenancy.namespace)},
    spec=platform.apply(
        lambda outputs: {
            "clusterSelector": {"ray.io/cluster": outputs.ray.cluster},
            "entrypoint": "python -c 'import ray; ray.init(); print(ray.cluster_resources())'",
            "submitterPodTemplate": submitter(outputs),
        }
    ),
    opts=pulumi.ResourceOptions(provider=k8s.Provider("cluster", context="ml-platform-sandbox")),
)
pulumi.export("dashboard", platform.apply(lambda outputs: outputs.ray.dashboard.url))
