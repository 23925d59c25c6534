#!/opt/feast/bin/python3
"""Feast's command line, with one hole closed: a token that the API server does not vouch for is refused.

Feast 0.67 asks for a TokenReview, but goes on when that says no, with a name from the token that nothing has verified
(feast/permissions/auth/kubernetes_token_parser.py): anyone could write a token of any ServiceAccount.
"""

import sys

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

if __name__ == "__main__":
    sys.exit(cli())
