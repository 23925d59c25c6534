"""Plain text in the access table (decision 18) needs an exception of the pack too, for that port and until a day."""

from datetime import date
from typing import Any

import pytest

from components.mesh.spec import AccessSpec, NeighbourSpec, PlainText
from policies import configuration
from policies.configuration import Configuration, RuleException
from policies.judge import Diagnostic, Judge
from policies.pack import RULES
from policies.view import Stack
from tests.graph.test_clean_program import seen
from tests.graph.test_program import settings_of
from tests.policies.support import POLICIES
from tests.support.recorder import record

MLFLOW = "Deployment/data-platform/mlflow"


@pytest.fixture(scope="module", params=["dev", "prod"])
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def program(stack: str) -> Stack:
    settings = settings_of(stack)
    told = PlainText(reason="The scanner has no sidecar", expires=date(2099, 1, 1))
    row = AccessSpec(source="scanner", target="mlflow", ports=("http",), why="Looks for holes", plain_text=told)
    scanner = NeighbourSpec(name="scanner", cidrs=("192.0.2.7/32",))
    mesh = settings.mesh.model_copy(update={"neighbours": (scanner,), "access": (row,)})
    return seen(record(settings.model_copy(update={"mesh": mesh}), stack=stack))


def judged(program: Stack, stack: str, **exception: Any) -> list[Diagnostic]:
    choice = configuration.load(POLICIES / "config", stack, RULES)
    reason = {"rule": "effective-strict", "reason": "The scanner has no sidecar", "owner": "platform"}
    exceptions = (RuleException(**reason, **exception),) if exception else ()
    choice = Configuration(choice.strict, choice.levels, choice.settings, (*choice.exceptions, *exceptions))
    judge = Judge(RULES, choice, preview=False, today=date(2027, 1, 1))
    return judge.stack(program)


def test_without_one_it_is_a_violation_of_the_port(program: Stack, stack: str) -> None:
    (found,) = judged(program, stack)
    assert (found.rule.name, found.level) == ("effective-strict", "mandatory")
    assert found.message.startswith(f"{MLFLOW} port 5000: its sidecar takes plain text")


@pytest.mark.parametrize(
    ("path", "expires", "levels"),
    [
        ("port 5000", date(2027, 1, 1), ["advisory"]),
        ("port 5001", date(2027, 1, 1), ["mandatory", "mandatory"]),
        ("port 5000", date(2026, 12, 31), ["mandatory", "mandatory"]),
    ],
)
def test_with_one_it_is_told_until_the_day_comes(
    program: Stack, stack: str, path: str, expires: date, levels: list[str]
) -> None:
    found = judged(program, stack, resource=MLFLOW, path=path, expires=expires)
    assert [each.level for each in found] == levels, [each.message for each in found]
