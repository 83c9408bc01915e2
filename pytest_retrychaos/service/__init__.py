"""The fake service that remembers: routes, a default store, idempotency keys and a ledger of effects.

It knows requests and effects, and nothing of transports or faults.
"""
