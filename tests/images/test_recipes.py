"""The images of the project: their names, what they are made from and who needs them."""

import os
import re

import pytest

from components.settings import Images
from sandbox import containerfile, images, istio
from sandbox.__main__ import LOADED
from sandbox.tools import load


def test_every_folder_is_an_image_that_can_be_followed() -> None:
    folders = {path.name for path in images.FOLDER.iterdir() if path.is_dir()}
    assert folders == set(images.REFERENCES)
    assert set(images.REFERENCES) > images.WATCHING
    for name in folders:
        assert containerfile.read(images.FOLDER / name / "Containerfile").steps


def test_images_are_built_under_the_names_that_the_program_uses() -> None:
    used = Images().model_dump(exclude={"registry", "require_digests", "ray_gpu", "grafana"})
    assert {images.REFERENCES[role.replace("_", "-")] for role in used} == set(used.values())
    # The operator and the log agents are the cluster's.
    cluster = {"prometheus-operator", "prometheus-config-reloader", "log-agent"}
    assert {*LOADED, *images.WATCHING} == {role.replace("_", "-") for role in used} | set(istio.IMAGES) | cluster
    assert not images.WATCHING & set(LOADED)


def test_only_images_of_who_watches_need_tools_that_nobody_else_does() -> None:
    optional = {name for name, tool in load().items() if tool.optional}
    assert images.tools(images.WATCHING) - {"prometheus-operator"} == optional - {"conftest"}
    others = images.tools(set(images.REFERENCES) - images.WATCHING)
    assert not others & optional
    assert {"pilot-agent", "kuberay-operator", "versitygw"} <= others


@pytest.mark.parametrize("name", ["ray", "mlflow", "mlflow-previous", "feast", "moto"])
def test_the_packages_are_of_the_release_in_the_name(name: str) -> None:
    release, package = images.REFERENCES[name].partition(":")[2], name.partition("-")[0]
    wanted = (images.FOLDER / name / "requirements.in").read_text()
    assert re.search(rf"^{package}(\[[a-z0-9,]+\])?=={re.escape(release)}$", wanted, re.MULTILINE)
    assert f"\n{package}=={release} " in "\n" + (images.FOLDER / name / "requirements.txt").read_text()


def test_clients_on_ray_are_of_the_servers_release() -> None:
    release = images.REFERENCES["mlflow"].partition(":")[2]
    assert f"\nmlflow-skinny=={release} " in (images.FOLDER / "ray" / "requirements.txt").read_text()


def test_every_command_of_an_image_may_be_run() -> None:
    copied = [
        (path.parent / source, target)
        for path in images.FOLDER.glob("*/Containerfile")
        for source, target in re.findall(r"^COPY (\S+) (/usr/local/bin/\S+)$", path.read_text(), re.MULTILINE)
    ]
    assert len(copied) >= 5
    for source, target in copied:
        assert os.access(source, os.X_OK), f"{source.name} is copied to {target}: chmod +x"


def test_every_package_is_pinned_by_a_hash() -> None:
    for path in images.FOLDER.glob("*/requirements.txt"):
        pins = re.split(r"\n(?=\w)", path.read_text())
        assert all(re.match(r"[\w.\[\],-]+==\S+ \\\n    --hash=sha256:", pin) for pin in pins), path


def test_the_operator_is_what_upstream_ships() -> None:
    steps = containerfile.read(images.FOLDER / "kuberay-operator" / "Containerfile").steps
    assert [f"{step.word} {step.text}" for step in steps] == [
        "COPY --from=tools kuberay-operator /manager",
        "USER 65532:65532",
        "WORKDIR /",
        'ENTRYPOINT ["/manager"]',
    ]


def test_the_sidecar_is_stock_envoy_and_what_istio_puts_beside_it() -> None:
    steps = containerfile.read(images.FOLDER / "proxyv2" / "Containerfile").steps
    copied = [step.text for step in steps if step.text.startswith("--from=tools")]
    assert copied == [
        "--from=tools envoy_bootstrap.json /var/lib/istio/envoy/envoy_bootstrap_tmpl.json",
        "--from=tools pilot-agent /usr/local/bin/pilot-agent",
    ]
    # Packets of this user are not led to the sidecar again (tools/istio-iptables of Istio).
    assert [step.text for step in steps if step.word == "USER"] == ["1337:1337"]
