"""A queue that knows a message by the id that its sender gives it."""

from __future__ import annotations

import boto3
import pytest
from botocore.config import Config


@pytest.mark.chaos("reset after-commit, ok", "reset, ok")
def test_a_message_of_a_fifo_queue_carries_a_key(chaos):
    """Its deduplication id: botocore sends it again, and the queue knows it."""
    options = Config(retries={"mode": "standard"}, region_name="eu-west-1")
    queue = boto3.client("sqs", aws_access_key_id="a", aws_secret_access_key="b", config=options)

    queue.send_message(
        QueueUrl="https://sqs.eu-west-1.amazonaws.com/1/orders.fifo",
        MessageBody="order 7",
        MessageGroupId="orders",
        MessageDeduplicationId="order-7",
    )

    assert len(chaos.ledger) == 1
    chaos.verify()
