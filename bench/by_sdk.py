"""Pulumi's own policy SDK, pinned in requirements.txt: it decodes a resource again for each policy.

Its policies here look at nothing. What is measured is what the SDK takes before any rule runs, so the rules would
come on top.
"""

from collections.abc import Iterable

from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerServicer
from pulumi_policy import EnforcementLevel, ResourceValidationPolicy, StackValidationPolicy
from pulumi_policy.policy import _PolicyAnalyzerServicer
from pulumi_policy.version import VERSION as _VERSION

from policies.rule import Rule

VERSION = str(_VERSION)


def pack(rules: Iterable[Rule]) -> AnalyzerServicer:
    """A pack of as many policies as there are rules, each of its rule's scope."""
    policies = [
        (ResourceValidationPolicy if rule.scope == "resource" else StackValidationPolicy)(
            name=rule.name, description=rule.description, validate=_look_at_nothing
        )
        for rule in rules
    ]
    server: AnalyzerServicer = _PolicyAnalyzerServicer("peer", "0.0.1", policies, EnforcementLevel.MANDATORY)
    return server


def _look_at_nothing(args: object, report: object) -> None:
    del args, report
