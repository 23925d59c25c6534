"""Ray on real pods: jobs with and without the token, an autoscaler within its bounds, an update that cannot start."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.engine import Stack, eventually
from tests.support.ray import Dashboard, cpu_workers, dashboard, head
from tests.support.web import picture

JOBS = Path(__file__).with_name("jobs")
MIN, MAX = 1, 5
"""Bounds of the CPU workers in Pulumi.dev.yaml, which are those of the reports (R5)."""


def workers(stack: Stack) -> set[str]:
    """Names of the CPU workers that run and are not on their way out."""
    return {
        pod["metadata"]["name"]
        for pod in cpu_workers(stack)
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    }


def asked_for(stack: Stack) -> int:
    groups = stack.get("rayclusters.ray.io", "ray-cluster")["spec"]["workerGroupSpecs"]
    return int(next(group["replicas"] for group in groups if group["groupName"] == "cpu"))


def idle_workers_go(stack: Stack) -> bool:
    """Wait until the autoscaler has removed what nobody uses; whether it has, in three minutes."""
    return eventually(lambda: len(workers(stack)) == asked_for(stack) == MIN, seconds=180)


def test_the_pods_are_real_and_only_those_with_gpus_are_not(dev: Stack) -> None:
    nodes = {
        pod["metadata"]["labels"]["ray.io/group"]: pod["spec"]["nodeName"]
        for pod in dev.get("pods", "--selector=ray.io/cluster=ray-cluster")["items"]
    }
    assert nodes.pop("gpu") in {"gpu1", "gpu2"}
    assert nodes == {"headgroup": "local", "cpu": "local"}
    version = dev.kubectl("exec", "service/ray-head", "--container=ray-head", "--", "ray", "--version")
    assert version == "ray, version 2.60.0\n"
    assert "manager" in dev.kubectl("logs", "deployment/kuberay-operator")


def test_without_the_token_nobody_runs_or_sees_anything(dev: Stack) -> None:
    with dashboard(dev, token=False) as anyone:
        for path, body in (("/api/jobs/", {"entrypoint": "true"}), ("/api/jobs/", None), ("/nodes?view=summary", None)):
            status, told = anyone.ask(path, body)
            assert status == 401, (path, told)
        status, told = Dashboard(anyone.url, "wrong").ask("/api/jobs/", {"entrypoint": "true"})
        assert status in {401, 403}, told
    with dashboard(dev) as owner:
        assert owner.ask("/api/jobs/")[0] == 200


def test_a_job_runs_its_tasks_on_at_least_two_workers_and_not_on_the_head(dev: Stack) -> None:
    with dashboard(dev) as owner:
        ran_on = set(owner.value(owner.submit(JOBS / "spread.py"), "PODS"))
    assert len(ran_on) >= 2
    assert all(pod.startswith("ray-cluster-cpu-worker-") for pod in ran_on)


def test_a_person_sees_head_and_workers_in_a_browser(dev: Stack, browser: Browser) -> None:
    assert idle_workers_go(dev)
    with dashboard(dev) as owner, browser.new_page(viewport={"width": 1280, "height": 800}) as page:
        page.goto(f"{owner.url}/#/cluster")
        dialog = page.get_by_role("dialog")
        dialog.locator("input").fill(owner.token)
        dialog.get_by_role("button", name="Submit").click()
        for pod in ("ray-cluster-head-", *workers(dev)):
            row = page.get_by_role("row").filter(has_text=pod)
            expect(row.get_by_text("ALIVE")).to_be_visible(timeout=20_000)
        expect(dialog).not_to_be_visible()
        picture(page, "ray-dashboard")


@pytest.mark.timeout(900)
def test_the_autoscaler_adds_workers_up_to_the_bound_an_update_keeps_them_and_idle_ones_go(dev: Stack) -> None:
    assert idle_workers_go(dev)
    seen: set[int] = set()

    def grown() -> bool:
        seen.add(len(workers(dev)))
        return max(seen) == MAX

    with dashboard(dev) as owner, owner.running(JOBS / "load.py") as job:
        assert eventually(grown, seconds=120), seen
        before = workers(dev)
        assert len(before) == MAX
        again = dev.up()
        assert again.code == 0, again.text
        assert set(again.changes) == {"unchanged"}
        assert asked_for(dev) == MAX
        assert workers(dev) == before
        assert eventually(lambda: before <= set(re.findall("^POD (.*)$", owner.logs(job), re.MULTILINE)), seconds=60)
    assert idle_workers_go(dev)
    again = dev.up()
    assert again.code == 0, again.text
    assert set(again.changes) == {"unchanged"}
    assert asked_for(dev) == MIN


@pytest.mark.timeout(600)
def test_an_update_that_cannot_start_fails_and_says_why_and_the_next_one_mends_it(dev: Stack, tmp_path: Path) -> None:
    image = "registry.invalid/rayproject/ray:2.60.0"
    # The pack would say at preview that nobody trusts that registry.
    judged = dev.judged_with(tmp_path, image_registry={"trusted": ["registry.invalid"]})
    failed = judged.with_config(images={"ray": image}, ray={"readyTimeoutSeconds": 30}).up()
    assert failed.code != 0
    assert "ray-ready in namespace" in failed.text
    assert re.search(rf"pod ray-cluster-head-\S+: .*container ray-head .*{re.escape(image)}", failed.text), failed.text
    assert "head: 0 of 1 pods ready" in failed.text
    mended = dev.up()
    assert mended.code == 0, mended.text
    assert head(dev) != ""
