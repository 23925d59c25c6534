"""The KubeRay CRDs of one cluster, from the pinned upstream release, applied server-side.

They are a stack of their own (docs/decisions/0002-crds-in-their-own-stack.md): CRDs belong to a cluster, not to a
namespace, and 1.2 MB of schema must not ride in the stack that people run every day.

Environment: KUBERAY_CRDS, the directory with the release's CRD files; KUBERAY_VERSION, the release. `make` sets both.
"""

import os
from pathlib import Path

import pulumi
import pulumi_kubernetes
from pulumi_kubernetes.yaml.v2 import ConfigFile

directory, version = os.environ.get("KUBERAY_CRDS"), os.environ.get("KUBERAY_VERSION")
files = sorted(Path(directory).glob("ray.io_*.yaml")) if directory else []
if not files or not version:
    raise pulumi.RunError(
        "KUBERAY_CRDS must name the directory with KubeRay's CRD files and KUBERAY_VERSION their release: "
        "run this program through `make crds`, which sets both"
    )

context = os.environ.get("CRDS_CONTEXT")
cluster = pulumi_kubernetes.Provider("cluster", context=context)
# With a CRD goes every object of its kind. The CRDs have the option from the file that they stand in.
options = pulumi.ResourceOptions(provider=cluster, protect=True)
applied = [ConfigFile(file.stem.removeprefix("ray.io_"), file=str(file), opts=options) for file in files]
pulumi.export("kuberay", pulumi.Output.all(*[file.resources for file in applied]).apply(lambda _: version))
