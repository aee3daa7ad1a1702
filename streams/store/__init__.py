"""Where decisions are kept: events, and the rows that change in the same transaction.

Read `base` for what a store promises, then `postgres` (the real one) and `memory` (the tests' one); both pass the
contract suite in `tests/contract/test_store_*.py`. `deciding` is how everybody decides against a store.
"""
