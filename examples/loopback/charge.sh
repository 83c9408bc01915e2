#!/bin/sh
# Charge ten dollars for an order: up to three attempts with one key. The address is in RETRYCHAOS_URL.
curl --silent --show-error --fail --max-time 5 --retry 2 --retry-all-errors \
  --header "Idempotency-Key: $1" --data amount=1000 "$RETRYCHAOS_URL/payments"
