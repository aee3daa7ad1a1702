-- Answers to commands by idempotency key, written with the decision; kept for a day.
create table commands (
    api_key         text        not null,
    idempotency_key text        not null,
    digest          bytea       not null, -- sha256 of the request: another one under the same key is refused
    position        bigint      not null, -- of the log after the command
    answer          bytea       not null,
    at              timestamptz not null,
    primary key (api_key, idempotency_key)
);
create index commands_at_idx on commands (at);

-- Long streams start from here instead of from their first event. `tip` is the hash of the event at `version`.
create table snapshots (
    stream  text        primary key,
    version bigint      not null,
    state   bytea       not null,
    tip     bytea       not null,
    last_at timestamptz not null
);
