#!/opt/feast/bin/python3
"""Feast's command line, with two holes of Feast 0.67 closed.

A token that the API server does not vouch for is refused. Feast asks for a TokenReview, but goes on when that says no,
with a name from the token that nothing has verified (feast/permissions/auth/kubernetes_token_parser.py): anyone could
write a token of any ServiceAccount.

A gRPC server that is told to end (SIGTERM) ends what it is asked and takes nothing new. Feast has no handler, and the
first process of a container has no default one: the pod stayed for its whole grace period and was killed. Its timer,
which looks at the registry again and again, keeps the process alive after the server has ended.
"""

import signal
import sys
import threading
from typing import Any

import grpc
from feast.cli.cli import cli
from feast.permissions.auth.kubernetes_token_parser import KubernetesTokenParser
from feast.permissions.user import User
from kubernetes import client
from starlette.authentication import AuthenticationError

_unverified = KubernetesTokenParser.user_details_from_access_token


async def _verified(parser: KubernetesTokenParser, access_token: str) -> User:
    asked = client.V1TokenReview(spec=client.V1TokenReviewSpec(token=access_token))
    if not parser.auth_v1.create_token_review(asked).status.authenticated:
        raise AuthenticationError("the API server does not know this token")
    return await _unverified(parser, access_token)


KubernetesTokenParser.user_details_from_access_token = _verified

_FINISH_SECONDS = 20
_server = grpc.server


def _stoppable(*args: Any, **options: Any) -> grpc.Server:
    server = _server(*args, **options)
    signal.signal(signal.SIGTERM, lambda *_: server.stop(_FINISH_SECONDS))
    return server


grpc.server = _stoppable


class _Timer(threading.Timer):
    """A timer that ends with the process."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.daemon = True


threading.Timer = _Timer  # type: ignore[misc]

if __name__ == "__main__":
    sys.exit(cli())
