"""MLflow: a tracking server and model registry on PostgreSQL and an object store."""

from components.mlflow.component import MLflowEndpoints, MLflowServer
from components.mlflow.spec import MLflowImages, MLflowSpec

__all__ = ["MLflowEndpoints", "MLflowImages", "MLflowServer", "MLflowSpec"]
