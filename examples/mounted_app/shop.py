"""A shop as its team writes it: a FastAPI app that remembers idempotency keys by itself."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Header, Response

app = FastAPI()
orders: dict[str, dict[str, Any]] = {}


@app.post("/orders", status_code=201)
async def order(order: dict[str, Any], response: Response, idempotency_key: str = Header()) -> dict[str, Any]:
    """Take an order; a key that came before gets the answer of its first time."""
    if idempotency_key in orders:
        response.headers["X-Replayed"] = "true"
    return orders.setdefault(idempotency_key, {"number": len(orders) + 1, **order})


@app.post("/search")
async def search(query: dict[str, Any]) -> list[dict[str, Any]]:
    """Find orders; nothing is changed."""
    return [order for order in orders.values() if query.items() <= order.items()]
