"""The feature repository as Feast itself loads, registers and serves it, and its tables as PostgreSQL has them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from feast import FeatureStore, RepoConfig
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_NAME
from feast.repo_contents import RepoContents
from feast.repo_operations import parse_repo
from feast.types import FeastType, Float64, Int64, String

FEATURES = Path(__file__).resolve().parents[2] / "workloads" / "features"
TABLES = (FEATURES / "tables.sql").read_text()
SQL_TYPES: dict[FeastType, str] = {String: "text", Float64: "double precision", Int64: "bigint"}
SIGNALS = {"spread_to_moving_average", "intraday_return", "intraday_z_score"}
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
MONDAY = datetime(2026, 1, 5, 22, tzinfo=UTC)
SETTLEMENTS = """
INSERT INTO commodity_prices
    (commodity_code, event_timestamp, created, settlement_price, moving_average_20d)
VALUES
    ('WTI', '2026-01-05 22:00Z', '2026-01-05 22:00Z', 80, 78),
    ('WTI', '2026-01-05 22:00Z', '2026-01-06 10:00Z', 81, 78),
    ('WTI', '2026-01-06 22:00Z', '2026-01-06 22:00Z', 90, 78);
"""
"""Monday's, its correction on the next morning, and Tuesday's."""


@pytest.fixture(scope="module")
def repo() -> RepoContents:
    """What `feast apply` finds: it works in the folder and imports each file by its bare name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(FEATURES)
        patch.syspath_prepend(str(FEATURES))
        contents = parse_repo(FEATURES)
    for file in FEATURES.glob("*.py"):
        del sys.modules[file.stem]
    return contents


def registered(repo: RepoContents, folder: Path, **offline_store: str) -> FeatureStore:
    """A store that knows the repository only from its registry, as the servers do."""
    config = RepoConfig(
        project="data_platform",
        provider="local",
        registry={"registry_type": "sql", "path": f"sqlite:///{folder}/registry.db"},
        online_store={"type": "sqlite", "path": f"{folder}/online.db"},
        offline_store=offline_store or {"type": "dask"},
        entity_key_serialization_version=3,
    )
    FeatureStore(config=config).apply(
        [
            *repo.data_sources,
            *repo.entities,
            *repo.feature_views,
            *repo.on_demand_feature_views,
            *repo.feature_services,
        ]
    )
    return FeatureStore(config=config)


@pytest.fixture
def store(repo: RepoContents, tmp_path: Path) -> FeatureStore:
    return registered(repo, tmp_path)


@pytest.fixture
def postgres() -> Iterator[str]:
    """The directory of the socket of an empty PostgreSQL that ends with the test."""
    account = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
    with TemporaryDirectory(prefix="features-") as folder:
        if account:
            shutil.chown(folder, account)

        def pg_ctl(*args: str) -> None:
            command = [str(SERVERS[-1]), f"--pgdata={folder}/data", "--wait", "--silent", *args]
            subprocess.run(command, cwd=folder, check=True, timeout=60, user=account)

        pg_ctl("init", "--options=--auth=trust --username=feast --no-sync")
        pg_ctl("start", f"--log={folder}/log", f"--options=-k {folder} -c listen_addresses='' -c fsync=off")
        try:
            yield folder
        finally:
            pg_ctl("stop", "--mode=immediate")


def served(store: FeatureStore, *codes: str) -> dict[str, list[Any]]:
    """What the service answers for these commodities, by feature."""
    service = store.get_feature_service("commodity_price_forecast")
    rows = [{"commodity_code": code, "region_code": "PJM"} for code in codes]
    return dict(store.get_online_features(features=service, entity_rows=rows).to_dict())


def write(store: FeatureStore, view: str, **features: list[Any]) -> None:
    """Put values of Monday into the online store: those named, and nulls for the view's other features."""
    nulls = {field.name: None for field in store.get_feature_view(view).features}
    store.write_to_online_store(view, pd.DataFrame({**nulls, **features, "event_timestamp": MONDAY, "created": MONDAY}))


def tables(sql: str) -> dict[str, dict[str, str]]:
    """By table: its columns and their types, what its primary key is made of, and its index."""
    found: dict[str, dict[str, str]] = {}
    for name, body in re.findall(r"CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\n\);", sql, re.DOTALL):
        found[name] = dict(re.findall(r"^    (\w+) ([a-z ]+?)(?: NOT NULL.*)?,?$", body, re.MULTILINE))
        found[name]["PRIMARY KEY"] = " ".join(re.findall(r"PRIMARY KEY \((.*)\)", body))
        found[name]["INDEX"] = " ".join(re.findall(rf"CREATE INDEX IF NOT EXISTS \w+ ON {name} \((.*)\);", sql))
    return found


def asked_for(repo: RepoContents) -> dict[str, dict[str, str]]:
    """What the views need, in the words of `tables`."""
    found: dict[str, dict[str, str]] = {}
    for view in repo.feature_views:
        source = view.batch_source
        assert source is not None
        (key,) = view.entity_columns
        times = [source.timestamp_field, source.created_timestamp_column]
        found[source.get_table_query_string()] = {
            **{field.name: SQL_TYPES[field.dtype] for field in view.schema},
            **dict.fromkeys(times, "timestamptz"),
            "PRIMARY KEY": ", ".join([key.name, *times]),
            "INDEX": source.timestamp_field,
        }
    return found


def test_feast_finds_every_object(repo: RepoContents) -> None:
    views = {"commodity_prices", "commodity_intraday", "commodity_fundamentals", "carbon_intensity"}
    assert {view.name for view in repo.feature_views} == views
    assert {entity.join_key for entity in repo.entities} == {"commodity_code", "region_code", DUMMY_ENTITY_ID}
    assert {source.name for source in repo.data_sources} == views | {"commodity_intraday_push"}
    assert [view.name for view in repo.on_demand_feature_views] == ["price_signals"]
    assert [service.name for service in repo.feature_services] == ["commodity_price_forecast"]


def test_every_object_says_what_it_is_and_whose(repo: RepoContents) -> None:
    views: list[Any] = [*repo.feature_views, *repo.on_demand_feature_views]
    entities = [entity for entity in repo.entities if entity.name != DUMMY_ENTITY_NAME]
    for each in [*entities, *repo.data_sources, *views, *repo.feature_services]:
        assert each.description.endswith("."), each.name
        assert each.owner == "data-platform", each.name
    for view in repo.feature_views:
        assert view.ttl, view.name
        assert view.tags["cadence"], view.name
        assert all(field.description.endswith(".") for field in view.features), view.name


def test_views_and_tables_have_the_same_columns(repo: RepoContents) -> None:
    assert tables(TABLES) == asked_for(repo)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("volume bigint", "volume integer"),
        ("    volume bigint,\n", ""),
        ("volume bigint", "volume bigint,\n    open_interest bigint"),
        ("created timestamptz", "created timestamp"),
        ("(commodity_code, event_timestamp, created)", "(commodity_code, event_timestamp)"),
        ("ON commodity_prices (event_timestamp)", "ON commodity_prices (created)"),
        ("EXISTS commodity_prices (", "EXISTS prices ("),
    ],
)
def test_a_table_that_differs_is_found(repo: RepoContents, line: str, wrong: str) -> None:
    assert line in TABLES
    assert tables(TABLES.replace(line, wrong, 1)) != asked_for(repo)


def test_the_service_offers_every_column_and_signal_under_a_name_of_its_own(store: FeatureStore) -> None:
    service = store.get_feature_service("commodity_price_forecast")
    offered = [field.name for projection in service.feature_view_projections for field in projection.features]
    keys = {"commodity_code", "region_code"}
    columns = {name for table in tables(TABLES).values() for name in table if name.islower()}
    assert len(offered) == len(set(offered))
    assert set(offered) == (columns | SIGNALS) - keys - {"event_timestamp", "created"}
    assert set(served(store, "WTI")) == set(offered) | keys


def test_signals_are_computed_row_by_row_and_null_where_they_mean_nothing(store: FeatureStore) -> None:
    write(
        store,
        "commodity_prices",
        commodity_code=["WTI", "HH", "EUA", "DE-LU"],
        settlement_price=[80.0, 3.5, 70.0, -5.0],
        moving_average_20d=[78.0, 4.0, None, 25.0],
        volatility_20d=[0.02, 0.05, 0.0, 0.5],
    )
    pushed = {"commodity_code": ["WTI", "EUA", "DE-LU"], "last_price": [82.0, 77.0, 10.0], "session_volume": [9, 1, 1]}
    store.push("commodity_intraday_push", pd.DataFrame({**pushed, "event_timestamp": MONDAY, "created": MONDAY}))

    found = served(store, "WTI", "HH", "EUA", "DE-LU", "unknown")
    assert found["spread_to_moving_average"] == [2.0, -0.5, None, -30.0, None]
    assert found["intraday_return"] == [pytest.approx(0.025), None, pytest.approx(0.1), None, None]
    assert found["intraday_z_score"] == [pytest.approx(1.25), None, None, None, None]
    assert found["session_volume"] == [9, None, 1, 1, None]


def test_an_unknown_entity_has_only_nulls(store: FeatureStore) -> None:
    found = served(store, "unknown")
    assert {name for name, (value,) in found.items() if value is not None} == {"commodity_code", "region_code"}


@pytest.mark.skipif(not SERVERS, reason="needs PostgreSQL on this machine")
def test_postgres_gives_what_was_valid_then_and_materialises_the_latest(
    repo: RepoContents, postgres: str, tmp_path: Path
) -> None:
    psql = [str(SERVERS[-1].with_name("psql")), "--host", postgres, "--username=feast", "--dbname=postgres"]
    subprocess.run([*psql, "--set=ON_ERROR_STOP=1"], input=TABLES * 2 + SETTLEMENTS, text=True, check=True, timeout=60)

    access = {"host": postgres, "user": "feast", "password": "unused", "database": "postgres", "db_schema": "public"}
    store = registered(repo, tmp_path, type="postgres", **access)
    service = store.get_feature_service("commodity_price_forecast")
    hour, day = timedelta(hours=1), timedelta(days=1)
    asked = [MONDAY - hour, MONDAY + hour, MONDAY + day + hour, MONDAY + 9 * day]
    entities = pd.DataFrame({"commodity_code": "WTI", "region_code": "PJM", "event_timestamp": asked})

    def spreads(*, known_then: bool) -> list[float | None]:
        job = store.get_historical_features(entities, service, filter_by_created_timestamp=known_then)
        found = job.to_df().sort_values("event_timestamp")["spread_to_moving_average"]
        return [None if pd.isna(value) else float(value) for value in found]

    assert spreads(known_then=False) == [None, 3.0, 12.0, None]
    assert spreads(known_then=True) == [None, 2.0, 12.0, None]
    store.materialize(MONDAY - day, MONDAY + 2 * day)
    assert served(store, "WTI", "HH")["spread_to_moving_average"] == [12.0, None]
