#!/opt/store-client/bin/python3
"""Makes every bucket of $BUCKETS and switches versioning on for those of $VERSIONED; what is there already stays.

Address, region and key come from boto3's own environment (AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID, ...).
"""

import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def main() -> None:
    """Entry point."""
    # Servers other than AWS answer under one name, and older ones know no trailing checksums.
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 10},
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
    )
    s3 = boto3.client("s3", config=config)
    for bucket in os.environ["BUCKETS"].split():
        try:
            s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            s3.create_bucket(Bucket=bucket, **_location(s3.meta.region_name))
        if bucket in os.environ["VERSIONED"].split():
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        print(f"bucket {bucket}: there")


def _location(region: str) -> dict[str, dict[str, str]]:
    """AWS wants the region told, except for its first one."""
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as problem:
        sys.exit(f"{os.environ.get('AWS_ENDPOINT_URL_S3')}: {problem}")
