"""Logs a run with an artifact as any job of a user does, and reads it back; prints the run's id and the text."""

import tempfile
from pathlib import Path

import mlflow
import ray


@ray.remote(num_cpus=0.1)
def train() -> str:
    mlflow.set_experiment("prices")
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        mlflow.log_param("window", 20)
        mlflow.log_metric("rmse", 0.25)
        report = Path(folder, "report.txt")
        report.write_text("from a worker of Ray")
        mlflow.log_artifact(str(report))
        return str(run.info.run_id)


ray.init(logging_level="error")
run_id = ray.get(train.remote())
print("RUN", f'"{run_id}"')
print("TEXT", f'"{mlflow.artifacts.load_text(f"runs:/{run_id}/report.txt")}"')
