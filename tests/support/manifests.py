"""What tests ask of the manifest of a workload."""

from typing import Any

from components.kube.pods import Manifest

RESTRICTED: Manifest = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""The security context of a test's own container, which satisfies the Restricted profile."""


def pod(manifest: Manifest) -> dict[str, Any]:
    """The pod's spec in a Deployment, StatefulSet, Job or CronJob."""
    spec = manifest["spec"]
    return dict((spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec)["template"]["spec"])


def container(manifest: Manifest, name: str | None = None) -> dict[str, Any]:
    """The only container, or the one of a name."""
    (found,) = [each for each in pod(manifest)["containers"] if name in {None, each["name"]}]
    return dict(found)


def environment(manifest: Manifest, name: str | None = None) -> dict[str, Any]:
    """Variables of a container: values, or where they come from."""
    return {
        each["name"]: each["value"] if "value" in each else next(iter(each["valueFrom"].values()))
        for each in container(manifest, name)["env"]
    }


def restricted(manifest: Manifest) -> None:
    """See that its pods meet the Restricted profile, are bounded, and hold no secret in plain text.

    Raises:
        AssertionError: they do not.
    """
    spec = pod(manifest)
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["enableServiceLinks"] is False
    for each in spec["containers"]:
        security = each["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for kind in ("requests", "limits"):
            assert set(each["resources"][kind]) >= {"cpu", "memory"}
        for variable in each.get("env", []):
            if any(word in variable["name"] for word in ("PASSWORD", "SECRET", "ACCESS_KEY")):
                assert "secretKeyRef" in variable["valueFrom"], variable
    for volume in spec.get("volumes", []):
        if "emptyDir" in volume:
            assert volume["emptyDir"]["sizeLimit"]
