"""Clients outside the cluster: HTTPS by the names of the platform's hosts, and tokens as Cloudflare signs them."""

import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc import jwk, jwt

from sandbox.processes import run


@dataclass(frozen=True)
class Certificate:
    """A certificate that nobody else has signed, and its key, as files."""

    public: Path
    private: Path

    @classmethod
    def made(cls, directory: Path, *hosts: str) -> "Certificate":
        """One for these hosts, valid for a day."""
        made = cls(directory / "tls.crt", directory / "tls.key")
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
        names = ",".join(f"DNS:{host}" for host in hosts)
        files = ["-keyout", str(made.private), "-out", str(made.public)]
        run("openssl", "req", "-x509", *new, "-subj", f"/CN={hosts[0]}", "-addext", f"subjectAltName={names}", *files)
        return made

    def secret(self, name: str, namespace: str) -> dict[str, Any]:
        """The Secret that a Gateway serves it from."""
        data = {"tls.crt": self.public.read_text(), "tls.key": self.private.read_text()}
        about = {"name": name, "namespace": namespace}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": about,
            "stringData": data,
        }


@dataclass(frozen=True)
class Door:
    """Where HTTPS of all hosts comes in: a port of loopback, and the certificate that is trusted."""

    port: int
    certificate: Certificate

    def ask(self, url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Send one request to an `https://` address; returns the status and the answer, decoded where it is JSON.

        Raises:
            OSError: no connection, or another certificate than ours.
        """
        host, _, path = url.removeprefix("https://").partition("/")
        trusted = ssl.create_default_context(cafile=str(self.certificate.public))
        connection = http.client.HTTPSConnection(host, timeout=60)
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain:
            connection.sock = trusted.wrap_socket(plain, server_hostname=host)
            data = None if body is None else json.dumps(body)
            content = {} if body is None else {"Content-Type": "application/json"}
            connection.request("GET" if body is None else "POST", f"/{path}", data, {**content, **headers})
            answer = connection.getresponse()
            text = answer.read().decode()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text


@dataclass(frozen=True)
class Signer:
    """Signs tokens as an application's identity provider does, with a key of its own."""

    issuer: str
    audience: str
    key: jwk.RSAKey = field(default_factory=lambda: jwk.RSAKey.generate_key(2048, {"kid": "one"}))

    @property
    def keys(self) -> str:
        """The key set that others verify with."""
        return json.dumps({"keys": [self.key.as_dict(private=False)]})

    def token(self, **claims: Any) -> str:
        """A token of someone who has logged in, valid for an hour; `claims` replace what it says."""
        usual = {"iss": self.issuer, "aud": [self.audience], "sub": "someone", "exp": int(time.time()) + 3600}
        return jwt.encode({"alg": "RS256", "kid": "one"}, {**usual, **claims}, self.key)
