"""Any table, rendered: the policies say what it says, in every layer, and travel is by mutual TLS."""

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components.kube.access import EVERYONE, Access, AccessTable, Neighbour, Port, Token, Workload, served
from components.mesh.manifests import istio, network_policies
from components.mesh.spec import AccessSpec, MeshSpec, PlainText
from tests.support.access import differences

NAMESPACE = "ml"
TOKEN = Token("https://team.example", "https://team.example/keys", ("ours",), "X-Token")

ports = st.builds(
    lambda number, more: Port(number, last=number + more if more else None),
    st.integers(1024, 1030),
    st.integers(0, 3),
)
WORKLOADS = ("web", "web-job", "store")


@st.composite
def tables(draw: st.DrawFn) -> AccessTable:
    """Three workloads whose names begin alike or not, neighbours of each kind, and any rows between them."""
    workloads = [
        served(name, **draw(st.dictionaries(st.sampled_from(["a", "b"]), ports, min_size=1))) for name in WORKLOADS
    ]
    neighbours = [
        Neighbour("team", "team-a", ports={"t": Port(2000)}),
        Neighbour("pods", "team-b", {"app": "x"}, ("runner",), ports={"t": Port(2000)}),
        Neighbour("office", cidrs=("198.51.100.0/28",), ports={"t": Port(2000)}),
        Neighbour("anyone", ports={"t": Port(2000)}),
    ]
    everyone: list[Workload | Neighbour] = [*workloads, *neighbours]
    rows = [
        draw(row(source, target))
        for source in everyone
        for target in everyone
        if (isinstance(source, Workload) or isinstance(target, Workload))
        and source is not target
        and draw(st.booleans())
    ]
    if draw(st.booleans()):
        rows.append(Access(EVERYONE, "store", (next(iter(workloads[2].ports)),), "everyone may"))
    return AccessTable(NAMESPACE, tuple(workloads), tuple(neighbours), tuple(rows))


@st.composite
def row(draw: st.DrawFn, source: Workload | Neighbour, target: Workload | Neighbour) -> Access:
    chosen = draw(st.sets(st.sampled_from(sorted(target.ports)), min_size=1))
    # Addresses have no identity: settings refuse such a row without an exception.
    outside = isinstance(source, Neighbour) and isinstance(target, Workload)
    plain = outside and (not source.namespace or draw(st.booleans())) if isinstance(source, Neighbour) else False
    token = draw(st.sampled_from([None, TOKEN])) if outside and not plain else None
    return Access(source.name, target.name, tuple(sorted(chosen)), "because of this test", token, plain_text=plain)


def rendered(table: AccessTable) -> list[dict[str, Any]]:
    services = [_service(workload) for workload in table.workloads]
    policies = network_policies(table, NAMESPACE)
    return [*services, *policies.values(), *istio(MeshSpec(), table, NAMESPACE).values()]


def _service(workload: Workload) -> dict[str, Any]:
    """A Service of every port, since sidecars encrypt what has one."""
    numbers = sorted({number for port in workload.ports.values() for number in _numbers(port)})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": workload.name, "namespace": NAMESPACE},
        "spec": {"selector": workload.selector, "ports": [{"name": f"p{port}", "port": port} for port in numbers]},
    }


def _numbers(port: Port) -> range:
    return range(port.number, (port.last or port.number) + 1)


@given(tables())
def test_policies_of_any_table_say_what_it_says(table: AccessTable) -> None:
    assert list(differences(table, rendered(table))) == []


@given(tables())
def test_what_takes_plain_text_is_what_was_excepted(table: AccessTable) -> None:
    found = [each for each in rendered(table) if each["kind"] == "PeerAuthentication"]
    excepted = {
        (row.target, number)
        for row in table.rows
        if row.plain_text
        for name in row.ports
        for number in _numbers(table.port(row, name))
    }
    weak = {(each["metadata"]["name"], int(port)) for each in found for port in each["spec"].get("portLevelMtls", {})}
    assert weak == excepted
    assert {each["spec"]["mtls"]["mode"] for each in found} == {"STRICT"}


def test_an_exception_ends_on_its_day() -> None:
    told = PlainText(reason="The scanner has no sidecar", expires=date(2027, 3, 31))
    access = AccessSpec(source="scanner", target="mlflow", ports=("http",), why="Looks for holes", plain_text=told)
    spec = MeshSpec(access=(access,))
    assert list(spec.expired(date(2027, 3, 31))) == []
    (sentence,) = spec.expired(date(2027, 4, 1))
    assert "scanner to mlflow: plainText expired on 2027-03-31" in sentence
