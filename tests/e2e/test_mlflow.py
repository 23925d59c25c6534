"""MLflow on real pods: a job logs and reads, hosts and users are checked, and no release loses anything."""

import http.client
import re
import urllib.parse

import pytest
from playwright.sync_api import Browser, expect

from tests.support.clients import s3, sql
from tests.support.engine import Stack, changed, eventually, stays
from tests.support.mlflow import Server, logged, tracking, under_load
from tests.support.web import ask, picture

PREVIOUS = "ml-platform/mlflow:3.16.1"


def pods(stack: Stack) -> list[str]:
    """Names of the servers that are ready and stay."""
    return [
        pod["metadata"]["name"]
        for pod in stack.get("pods", "--selector", "app.kubernetes.io/name=mlflow")["items"]
        if stays(pod)
    ]


@pytest.fixture(scope="module")
def run_id(dev: Stack) -> str:
    return logged(dev)


def test_a_job_on_ray_logs_a_run_whose_artifact_went_through_the_server(dev: Stack, run_id: str) -> None:
    with tracking(dev) as server:
        run = server.run(run_id)
        assert run["info"]["artifact_uri"].startswith("mlflow-artifacts:/")
        assert run["data"]["metrics"][0]["value"] == 0.25
        assert run["data"]["params"] == [{"key": "window", "value": "20"}]
        path = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
        status, text = server.ask(f"/api/2.0/mlflow-artifacts/artifacts/{path}/report.txt")
        assert (status, text) == (200, "from a worker of Ray")
    key = f"{path}/report.txt"
    assert s3(dev, f"s3.get_object(Bucket='mlflow-artifacts', Key='{key}')['Body'].read().decode()") == text


def test_every_host_that_it_is_reached_by_is_answered_and_a_foreign_one_is_not(dev: Stack) -> None:
    space = dev.namespace
    address = dev.get("pod", pods(dev)[0])["status"]["podIP"]
    names = ["mlflow", *(f"mlflow.{rest}" for rest in (space, f"{space}.svc", f"{space}.svc.cluster.local")), address]
    path = "/api/2.0/mlflow/experiments/get?experiment_id=0"
    with tracking(dev) as server:
        for host in [*names, *(f"{name}:5000" for name in names)]:
            assert server.ask(path, Host=host)[0] == 200, host
        for host in ("mlflow.evil.example", f"mlflow.{space}.svc.evil.example", "10.99.99.99:5000"):
            assert server.ask(path, Host=host)[0] == 403, host


def test_nobody_gets_in_without_a_password_and_a_user_is_not_an_admin(dev: Stack) -> None:
    path = "/api/2.0/mlflow/experiments/get?experiment_id=0"
    create = "/api/2.0/mlflow/users/create"
    with tracking(dev) as admin, tracking(dev, user="platform") as user:
        assert ask(f"{admin.url}{path}")[0] == 401
        assert Server(admin.url, "admin", "password1234").ask(path)[0] == 401
        assert user.ask(path)[0] == 200
        assert user.ask(create, {"username": "someone", "password": "a-long-password"})[0] == 403


def test_metrics_are_told(dev: Stack) -> None:
    with tracking(dev) as server:
        status, text = server.ask("/metrics")
        assert status == 200
        assert re.search(r"^mlflow_http_request_total\{.*\} [1-9]", text, re.MULTILINE), text[:2000]


def test_a_person_sees_the_run_in_a_browser(dev: Stack, run_id: str, browser: Browser) -> None:
    with tracking(dev) as server:
        context = browser.new_context(
            http_credentials={"username": "admin", "password": server.password},
            viewport={"width": 1280, "height": 800},
        )
        with context, context.new_page() as page:
            experiment = server.run(run_id)["info"]["experiment_id"]
            page.goto(f"{server.url}/#/experiments/{experiment}/runs/{run_id}")
            expect(page.get_by_text("rmse").first).to_be_visible(timeout=60_000)
            expect(page.get_by_text("0.25").first).to_be_visible()
            picture(page, "mlflow-run")


def test_what_users_delete_is_removed_for_good_with_its_artifacts(dev: Stack) -> None:
    doomed = logged(dev)
    with tracking(dev) as server:
        key = server.run(doomed)["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/report.txt"
        assert server.ask("/api/2.0/mlflow/runs/delete", {"run_id": doomed})[0] == 200
        job = dev.get("cronjob", "mlflow-gc")["spec"]["jobTemplate"]
        collect = job["spec"]["template"]["spec"]["containers"][0]
        assert "--older-than=30d" in collect["args"]
        collect["args"] = [arg for arg in collect["args"] if not arg.startswith("--older-than")]
        made = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "gc-now"}, "spec": job["spec"]}
        dev.create(made)
        dev.kubectl("wait", "--for=condition=Complete", "job/gc-now", "--timeout=120s")
        assert server.ask(f"/api/2.0/mlflow/runs/get?run_id={doomed}")[0] == 404
    listed = f"s3.list_objects_v2(Bucket='mlflow-artifacts', Prefix='{key}')['KeyCount']"
    assert s3(dev, listed) == "0"


def signs_up(first: str, second: str, server: Server) -> int:
    """The status of a form that one replica made and another one gets."""
    one, other = (http.client.HTTPConnection(url.removeprefix("http://"), timeout=60) for url in (first, second))
    one.request("GET", "/signup", headers=server.headers)
    page = one.getresponse()
    text, cookie = page.read().decode(), str(page.headers["Set-Cookie"]).split(";")[0]
    token = re.search(r'name="csrf_token"\s+value="([^"]+)"', text)
    assert token, text
    form = {"csrf_token": token[1], "username": "colleague", "password": "a-long-password"}
    headers = {**server.headers, "Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    other.request("POST", "/api/2.0/mlflow/users/create-ui", urllib.parse.urlencode(form), headers)
    return other.getresponse().status


@pytest.mark.timeout(900)
def test_two_replicas_share_sessions_and_a_rollout_under_load_loses_no_request(dev: Stack) -> None:
    with changed(dev, mlflow={"replicas": 2}) as two:
        assert eventually(lambda: len(pods(two)) == 2, seconds=60)
        first, second = pods(two)
        with tracking(two, f"pod/{first}") as one, tracking(two, f"pod/{second}") as other:
            assert signs_up(one.url, other.url, one) == 200
        with under_load(two) as load:
            before = set(pods(two))
            rolled = two.with_config(mlflow={"defaultPermission": "EDIT"}).up()
            assert rolled.code == 0, rolled.text
            assert eventually(lambda: len(pods(two)) == 2 and not before & set(pods(two)), seconds=60)
        assert load.failed == []
        assert load.answered > 50


@pytest.mark.timeout(900)
def test_an_upgrade_backs_up_and_migrates_and_one_that_fails_leaves_the_old_release_serving(dev: Stack) -> None:
    databases = [*({"name": name} for name in ("mlflow", "feast")), {"name": "mlflow-auth", "owner": "mlflow"}]
    databases += [{"name": "older", "owner": "mlflow"}, {"name": "older-auth", "owner": "mlflow"}]
    aside = {"stores": {"databases": databases}, "mlflow": {"database": "older", "usersDatabase": "older-auth"}}
    with changed(dev, **aside, images={"mlflow": PREVIOUS}) as old:
        kept = logged(old)
        with tracking(old) as server:
            assert server.ask("/version") == (200, "3.16.1")
        new = dev.with_config(**aside)
        assert "ALTER" in admin_sql(old, "ALTER TABLE jobs OWNER TO postgres; GRANT ALL ON jobs TO mlflow", "older")
        failed = new.up()
        assert failed.code != 0
        assert "mlflow-migrate" in failed.text
        assert "must be owner of table jobs" in failed.text, failed.text
        with tracking(old) as server:
            assert server.ask("/version") == (200, "3.16.1")
            assert server.run(kept)["data"]["metrics"][0]["value"] == 0.25
        assert logged(old) != kept
        assert "ALTER" in admin_sql(old, "ALTER TABLE jobs OWNER TO mlflow", "older")
        done = new.up()
        assert done.code == 0, done.text
        with tracking(new) as server:
            assert server.ask("/version") == (200, "3.17.2")
            assert server.run(kept)["data"]["metrics"][0]["value"] == 0.25
    dumps = "[each['Key'] for each in s3.list_objects_v2(Bucket='backups', Prefix='mlflow/')['Contents']]"
    assert s3(dev, dumps).count("-older.dump") >= 2


def admin_sql(stack: Stack, statement: str, database: str) -> str:
    """What the database's administrator is told."""
    command = ["exec", "postgres-0", "--", "psql", "--username=postgres", "--host=/var/run/postgresql"]
    return stack.kubectl(*command, f"--dbname={database}", f"--command={statement}")


@pytest.mark.timeout(600)
def test_when_postgres_is_killed_everything_comes_back_with_its_data(dev: Stack, run_id: str) -> None:
    dev.kubectl("delete", "pod", "postgres-0", "--grace-period=0", "--force")
    assert eventually(lambda: bool(dev.kubectl("get", "pod", "postgres-0", "--ignore-not-found")), seconds=60)
    dev.kubectl("wait", "--for=condition=Ready", "pod/postgres-0", "--timeout=120s")
    with tracking(dev) as server:
        assert eventually(lambda: server.ask(f"/api/2.0/mlflow/runs/get?run_id={run_id}")[0] == 200, seconds=60)
        assert server.run(run_id)["data"]["metrics"][0]["value"] == 0.25
    assert int(sql(dev, "SELECT count(*) FROM experiments", "mlflow", "mlflow")) >= 2
