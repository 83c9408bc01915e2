"""To complete a multipart upload once more makes the same object: boto3 does, where the answer was lost."""

from __future__ import annotations

import io

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from pytest_retrychaos import Chaos, LawsBroken, Response

PART = 5 << 20


def upload(chaos: Chaos) -> None:
    """Upload two parts, side by side, with boto3's own retries."""

    def post(request):
        name = "Complete" if "uploadId" in request.query else "Initiate"
        text = f"<{name}MultipartUploadResult><UploadId>7</UploadId><ETag>1</ETag></{name}MultipartUploadResult>"
        return Response(200, body=text.encode())

    chaos.service.route("POST", "/bucket/key", post)
    chaos.service.route("PUT", "/bucket/key", lambda _: (200, None, {"ETag": '"1"'}))
    config = Config(retries={"mode": "standard"}, s3={"addressing_style": "path"}, read_timeout=5)
    client = boto3.client(
        "s3", region_name="eu-west-1", aws_access_key_id="AK", aws_secret_access_key="SK", config=config
    )
    parts = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    client.upload_fileobj(io.BytesIO(bytes(2 * PART)), "bucket", "key", Config=parts)
    client.close()


@pytest.mark.chaos("ok x3, reset after-commit, ok", "ok x3, timeout, ok", "ok, reset after-commit, ok")
def test_it_needs_no_key(chaos: Chaos) -> None:
    """Its number says which upload is meant, as the parts' does."""
    upload(chaos)

    assert len(chaos.ledger) == 4
    chaos.verify()


@pytest.mark.chaos("reset after-commit, ok")
def test_who_begins_it_twice_has_begun_two(chaos: Chaos) -> None:
    """Each has a number of its own."""
    upload(chaos)

    with pytest.raises(LawsBroken, match="ID01, ID04"):
        chaos.verify()
