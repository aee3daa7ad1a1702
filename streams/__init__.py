"""What moves events: the store, the fold of alerts into decisions, the pager and its channels, the relay.

Read `store/` first (where decisions are kept), then `fold`, `pager`, `relay`.
"""
