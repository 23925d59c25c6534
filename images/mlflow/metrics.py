#!/opt/mlflow/bin/python3
"""Shows what the server's processes count, from their files in $PROMETHEUS_MULTIPROC_DIR, on port 8001.

The server's own /metrics asks for an administrator, and its database for whether that is one: it is mute when the
database is away. Source: mlflow/server/auth, `MLFLOW_BASIC_AUTH_FAIL_CLOSED`; prometheus_client, "Multiprocess Mode".
"""

import threading

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

PORT = 8001


def main() -> None:
    """Entry point."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    start_http_server(PORT, registry=registry)
    threading.Event().wait()


if __name__ == "__main__":
    main()
