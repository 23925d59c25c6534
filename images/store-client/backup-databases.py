#!/opt/store-client/bin/python3
"""Dumps every database of $DATABASES to s3://$BUCKET/$PREFIX/<UTC time>-<database>.dump, which pg_restore reads.

Server and role come from libpq's own environment, the object store from boto3's. A dump that failed is removed.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def main() -> None:
    """Entry point."""
    s3 = boto3.client("s3", config=Config(retries={"mode": "standard"}, s3={"addressing_style": "path"}))
    bucket, now = os.environ["BUCKET"], datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for database in os.environ["DATABASES"].split():
        key = f"{os.environ['PREFIX']}/{now}-{database}.dump"
        command = ["pg_dump", "--format=custom", "--no-password", f"--dbname={database}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as dump:
            # Two parts of 8 MiB at a time: the size of a dump does not show in the memory.
            s3.upload_fileobj(dump.stdout, bucket, key, Config=TransferConfig(max_concurrency=2))
        if dump.returncode:
            s3.delete_object(Bucket=bucket, Key=key)
            sys.exit(f"pg_dump of {database} ended with {dump.returncode}")
        size = s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
        print(f"database {database}: {size} bytes in s3://{bucket}/{key}")


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as problem:
        sys.exit(f"{os.environ.get('AWS_ENDPOINT_URL_S3')}: {problem}")
