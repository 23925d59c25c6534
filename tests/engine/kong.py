"""A stand-in for Kong's CRD of KongPlugins.

Kong's own is in github.com/kong/kubernetes-configuration, a Go module that the checksum database of a closed machine's
mirror does not know. This one says the same of what the platform uses, in words of its own: which fields there are,
that `config` is free, that a plugin stays what it is under its name, and that its status is unknown until a controller
comes. Held against v1.2 (config/crd/ingress-controller/configuration.konghq.com_kongplugins.yaml) by reading.
"""

from typing import Any

_GROUP = "configuration.konghq.com"
_WAITING = {
    "type": "Programmed",
    "status": "Unknown",
    "reason": "Pending",
    "message": "Waiting for controller",
    "lastTransitionTime": "1970-01-01T00:00:00Z",
}
_TEXT = {"type": "string"}

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["plugin"],
    "properties": {
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "metadata": {"type": "object"},
        "plugin": _TEXT,
        "config": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "disabled": {"type": "boolean"},
        "instance_name": _TEXT,
        "protocols": {"type": "array", "items": {"type": "string", "enum": ["http", "https", "grpc", "grpcs"]}},
        "status": {
            "type": "object",
            "properties": {
                "conditions": {
                    "type": "array",
                    "default": [_WAITING],
                    "items": {"type": "object", "properties": dict.fromkeys(_WAITING, _TEXT)},
                }
            },
        },
    },
    "x-kubernetes-validations": [
        {"rule": "self.plugin == oldSelf.plugin", "message": "The plugin field is immutable"},
    ],
}

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"kongplugins.{_GROUP}"},
    "spec": {
        "group": _GROUP,
        "scope": "Namespaced",
        "names": {
            "kind": "KongPlugin",
            "listKind": "KongPluginList",
            "plural": "kongplugins",
            "singular": "kongplugin",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": _SCHEMA},
            }
        ],
    },
}
"""As `kubectl apply` takes it."""
