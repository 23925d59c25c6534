"""Gateway: the way in from outside the cluster, over HTTPS only.

It promises that Ray Serve and Feast ask for a key or a token before they are reached, unless settings say that someone
else does. It refuses a host without a certificate, and an identity that nobody would verify.
"""

from dataclasses import dataclass

import pulumi

from components.base import Component, KubernetesObject
from components.gateway import manifests
from components.gateway.spec import GatewaySpec
from components.kube.wires import Endpoint


@dataclass(frozen=True)
class GatewayEndpoints:
    """What others may know of the way in.

    Attributes:
        serve: addresses of Ray Serve, one for each host.
        features: addresses of Feast's online server.
        mlflow: addresses of MLflow.
        authentication: what Ray Serve and Feast are asked with: `key`, `jwt` or `none`; None where neither is served.
    """

    serve: list[str]
    features: list[str]
    mlflow: list[str]
    authentication: str | None


class Gateway(Component[GatewayEndpoints], token="mlplatform:gateway:Gateway"):
    """Certificate, Gateway, plugins and routes."""

    def __init__(
        self,
        name: str,
        spec: GatewaySpec,
        *,
        namespace: pulumi.Output[str],
        serve: Endpoint,
        features: Endpoint,
        tracking: Endpoint,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        self._spec = spec
        self._namespace = namespace
        self._before: list[KubernetesObject] = []
        if spec.tls:
            certificate = (
                [self.child("tls", manifests.certificate(spec, spec.tls, namespace))] if spec.tls.issuer else []
            )
            self._before = [self.child("listeners", manifests.gateway(spec, spec.tls, namespace), after=certificate)]
        plugins = manifests.plugins(spec, namespace)
        made = {plugin: manifest for of_route in plugins.values() for plugin, manifest in of_route.items()}
        self._before += [self.child(plugin, manifest) for plugin, manifest in made.items()]
        self._plugins = {route: list(of_route) for route, of_route in plugins.items()}
        paths = spec.api.paths if spec.api else {}
        hosts = spec.api.hosts if spec.api else ()
        self.publish(
            GatewayEndpoints(
                serve=self._route("serve", "api", hosts, paths.get("serve"), serve),
                features=self._route("features", "api", hosts, paths.get("features"), features),
                mlflow=self._route("mlflow", "mlflow", spec.mlflow.hosts if spec.mlflow else (), "/", tracking),
                authentication=spec.api.authentication if spec.api else None,
            )
        )

    def _route(self, name: str, kind: str, hosts: tuple[str, ...], path: str | None, target: Endpoint) -> list[str]:
        """Declare a route, where it has a path and hosts; returns its addresses."""
        if not hosts or not path:
            return []
        host = pulumi.Output.from_input(target.host)
        manifest = manifests.route(
            self._spec,
            self._namespace,
            name,
            hosts=hosts,
            path=path,
            service=host.apply(lambda known: known.split(".")[0]),  # a Service's DNS name begins with its own
            host=host,
            port=target.port,
            plugins=self._plugins.get(kind, []),
        )
        self.child(name, manifest, after=self._before)
        return [f"https://{each}{path.removesuffix('/')}" for each in hosts]
