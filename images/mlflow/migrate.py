#!/opt/mlflow/bin/python3
"""Brings $MLFLOW_BACKEND_STORE_URI to this release's schema, and users to their passwords; running again is harmless.

With $USERS_DATABASE_URI there are users: one for each PASSWORD_<NAME>, of which `admin` may do everything.
"""

import os
import subprocess
import sys


def main() -> None:
    """Entry point."""
    url = os.environ["MLFLOW_BACKEND_STORE_URI"]
    done = subprocess.run(["mlflow", "db", "upgrade", url], check=False)
    if done.returncode:
        sys.exit(f"mlflow db upgrade ended with {done.returncode}; the database is as it was")
    if users := os.environ.get("USERS_DATABASE_URI"):
        _users(users)


def _users(url: str) -> None:
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415 only with authentication

    store = SqlAlchemyStore()
    store.init_db(url)
    prefix = "PASSWORD_"
    for name, password in sorted(os.environ.items()):
        if not name.startswith(prefix):
            continue
        user = name.removeprefix(prefix).lower()
        if store.has_user(user):
            store.update_user(user, password=password)
        else:
            store.create_user(user, password, is_admin=user == "admin")
        print(f"user {user}: there")


if __name__ == "__main__":
    main()
