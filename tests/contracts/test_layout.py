"""The shape of the code base itself: who imports whom, what is named how, where which line stands."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from components.base import Component
from components.platform import Platform
from components.ray.spec import RaySpec
from components.settings import Images
from components.target import SANDBOX_CONTEXT
from sandbox import cluster, controllers, images, istio, tools

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "sandbox" / "monitoring.yaml"
SUBSYSTEMS = sorted(path.parent.name for path in (ROOT / "components").glob("*/component.py"))


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def lint_imports(root: Path) -> "subprocess.CompletedProcess[str]":
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--no-cache",
        "--config",
        str(ROOT / "pyproject.toml"),
    ]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(root)})


def test_imports_go_down_only() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("components/kube/labels.py", "import components.ray", "imports go down only"),
        ("components/tenancy/spec.py", "import components.ray.spec", "imports go down only"),
        ("components/ray/manifests.py", "import pulumi", "specs and manifests are pure"),
        ("policies/pack.py", "import components.kube.quantity", "policies judge the result"),
        ("components/platform.py", "import sandbox.tools", "the program knows nothing of the sandbox"),
        ("sandbox/tools.py", "import bench.table", "nothing needs the benchmark"),
    ],
)
def test_a_line_in_the_wrong_room_is_found(file: str, line: str, contract: str, tmp_path: Path) -> None:
    for folder in ("bench", "components", "policies", "sandbox"):
        for source in python_files(folder):
            target = tmp_path / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(source.read_text())
    wrong = tmp_path / file
    wrong.write_text(f"{wrong.read_text()}\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    broken = done.stdout.split("Broken contracts", 1)[1]
    assert contract in broken
    assert file.removesuffix(".py").replace("/", ".") in broken


def test_every_subsystem_has_the_same_four_files() -> None:
    assert SUBSYSTEMS
    for name in SUBSYSTEMS:
        files = {path.name for path in (ROOT / "components" / name).glob("*.py")}
        assert files == {"__init__.py", "spec.py", "manifests.py", "component.py"}, name


def test_the_purity_contract_names_every_subsystem() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (pure,) = [contract for contract in contracts if contract["name"] == "specs and manifests are pure"]
    expected = {f"components.{name}.{file}" for name in SUBSYSTEMS for file in ("spec", "manifests")}
    assert set(pure["source_modules"]) == expected


def test_type_tokens_are_chosen_and_unique() -> None:
    assert Platform.__module__ == "components.platform"  # it imports every subsystem
    tokens = [component.token for component in Component.__subclasses__()]
    assert len(tokens) == len(SUBSYSTEMS)
    assert len(set(tokens)) == len(tokens)
    for component in Component.__subclasses__():
        area = component.__module__.split(".")[1]
        assert component.token == f"mlplatform:{area}:{component.__name__}"


def calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        ("pulumi.Config", {"components/settings.py"}),
        ("pulumi.get_stack", {"components/settings.py"}),
        ("pulumi.export", {"components/outputs.py", "crds/__main__.py"}),
        ("pulumi.StackReference", {"components/outputs.py", "components/platform.py"}),
    ],
)
def test_what_has_one_place_is_called_there_only(call: str, allowed: set[str]) -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in [*python_files("components", "crds", "policies"), ROOT / "__main__.py"]
        if call in calls(path)
    }
    assert found == allowed


def test_the_scan_for_calls_can_find_one(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("import pulumi\nvalue = pulumi.Config('x').get('y')\n")
    assert "pulumi.Config" in set(calls(tmp_path / "wrong.py"))


def test_the_entry_point_only_wires() -> None:
    statements = [
        node for node in ast.parse((ROOT / "__main__.py").read_text()).body if not isinstance(node, ast.ImportFrom)
    ]
    assert len(statements) <= 4


def test_nothing_asks_for_the_name_of_the_stack_to_decide() -> None:
    for path in python_files("components", "crds"):
        assert not re.search(r"""stack\s*==|==\s*["'](dev|prod)["']""", path.read_text()), path


def test_one_release_of_kuberay_is_pinned_everywhere() -> None:
    pinned = tools.load()
    release = RaySpec().kuberay_version
    assert pinned["kuberay-operator"].version == pinned[tools.CRDS].version == release
    assert Images().kuberay_operator.endswith(f":v{release}")
    assert controllers.BINARIES[Images().kuberay_operator] == "kuberay-operator"


def test_one_release_of_istio_is_pinned_everywhere() -> None:
    pinned = tools.load()
    operator = istio.choices(None)["spec"]
    of_mesh = {images.REFERENCES[name] for name in istio.IMAGES}
    assert of_mesh == {f"{operator['hub']}/{name}:{operator['tag']}" for name in istio.IMAGES}
    binaries = [pinned[name] for name in ("istioctl", "pilot-discovery", "pilot-agent", "istio-cni")]
    assert {tool.version for tool in binaries} == {operator["tag"]}
    assert controllers.BINARIES[images.REFERENCES["pilot"]] == "pilot-discovery"
    (module,) = {step.module for tool in binaries for step in tool.build}
    assert module.endswith(operator["tag"].partition("-")[2])


def test_one_release_of_the_prometheus_operator_is_pinned_everywhere() -> None:
    pinned = tools.load()
    release = pinned["prometheus-operator"].version
    assert {pinned[name].version for name in ("monitoring-crds", "monitoring-role", "prometheus-config-reloader")} == {
        release
    }
    (deployment,) = [each for each in yaml.safe_load_all(MONITORING.read_text()) if each["kind"] == "Deployment"]
    (operator,) = deployment["spec"]["template"]["spec"]["containers"]
    assert operator["image"] == images.REFERENCES["prometheus-operator"]
    assert f"--prometheus-config-reloader={images.REFERENCES['prometheus-config-reloader']}" in operator["args"]
    assert operator["image"].endswith(f":v{release}")
    assert controllers.BINARIES[operator["image"]] == "prometheus-operator"


def test_one_release_of_what_watches_is_pinned_everywhere() -> None:
    pinned = tools.load()
    assert pinned["promtool"].version == pinned["prometheus"].version
    assert Images().prometheus.endswith(f":v{pinned['prometheus'].version}")
    assert Images().kube_state_metrics.endswith(f":v{pinned['kube-state-metrics'].version}")
    assert Images().alertmanager.endswith(f":v{pinned['alertmanager'].version}")
    assert Images().loki.endswith(f":{pinned['loki'].version}")
    assert Images().jaeger.endswith(f":{pinned['jaeger'].version}")
    assert Images().log_agent.endswith(f":{pinned['otelcol'].version}")
    assert Images().postgres_exporter.endswith(f":v{pinned['postgres-exporter'].version}")
    assert Images().redis_exporter.endswith(f":v{pinned['redis-exporter'].version}")


def test_one_release_of_ray_is_pinned_everywhere() -> None:
    release = RaySpec().version
    assert Images().ray.endswith(f":{release}")
    assert f":{release}-" in Images().ray_gpu.reference


def test_the_plugins_are_of_the_same_release_as_the_python_packages() -> None:
    wanted = dict(re.findall(r"^(pulumi[a-z-]*)==(\S+)$", (ROOT / "requirements.in").read_text(), re.MULTILINE))
    pinned = tools.load()
    assert wanted["pulumi"] == pinned["pulumi"].version
    assert wanted["pulumi-kubernetes"] == pinned["pulumi-resource-kubernetes"].version
    assert wanted["pulumi-random"] == pinned["pulumi-resource-random"].version


def test_program_and_sandbox_agree_on_the_name_of_the_context() -> None:
    assert cluster.CONTEXT == SANDBOX_CONTEXT


def test_the_simulated_cluster_is_that_of_the_reports() -> None:
    nodes = list(yaml.safe_load_all(cluster.SHAPE.read_text()))
    capacity = [node["status"]["capacity"] for node in nodes]
    # Report 001, 2.1: "788GB RAM, 88 cores total"; report 002: "16 K80 GPUs".
    assert sum(int(node["cpu"]) for node in capacity) == 88
    assert sum(int(node["memory"].removesuffix("G")) for node in capacity) == 788
    assert sum(int(node.get("nvidia.com/gpu", 0)) for node in capacity) == 16
    assert {"cpu1", "k8s-worker"} <= {node["metadata"]["name"] for node in nodes}
    for node in nodes:
        is_gpu = "nvidia.com/gpu" in node["status"]["capacity"]
        assert bool(node.get("spec", {}).get("taints")) is is_gpu
        assert (node["metadata"]["labels"].get("nvidia.com/gpu.product") == "Tesla-K80") is is_gpu


def test_every_file_with_tests_is_collected() -> None:
    with_tests = {path for path in python_files("tests") if re.search(r"^def test_", path.read_text(), re.MULTILINE)}
    assert with_tests
    assert {path for path in with_tests if not path.name.startswith("test_")} == set()


def test_no_file_carries_a_path_of_this_machine_or_a_registry() -> None:
    registries = ["pypi" + ".org", "pythonhosted" + ".org", "proxy." + "golang.org", "registry." + "npmjs.org"]
    listed = subprocess.run(["/usr/bin/git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if not path.is_file():
            continue
        text = path.read_text(errors="replace")
        for forbidden in [*registries, "/root" + "/", "/home" + "/", "/work" + "/main"]:
            assert forbidden not in text, f"{name} contains {forbidden}"
