#!/opt/feast/bin/python3
"""Makes the tables that the sources of a feature repository read, then `feast apply`; running again is harmless.

The repository is the working directory: its Python files, a `feature_store.yaml`, and a `tables.sql` if it has one.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg


def main() -> int:
    """Entry point; returns the exit status."""
    tables = Path("tables.sql")
    if tables.exists():
        # Server, role and password come from libpq's own environment.
        with psycopg.connect() as connection:
            connection.execute(tables.read_bytes())
        print("tables: there", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        # A mounted ConfigMap holds links into a directory `..data`, whose name Feast takes for that of a package.
        for file in Path().glob("[!.]*"):
            shutil.copy(file, folder)
        return subprocess.run(["feast", "apply", "--no-progress"], cwd=folder, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except psycopg.Error as problem:
        sys.exit(f"tables.sql: {problem}")
