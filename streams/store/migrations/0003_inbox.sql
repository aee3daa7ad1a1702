-- Alerts taken while Kafka was away: records of the `alerts` topic that wait here to be folded, and then to be written
-- to the topic late.
create table inbox (
    receipt       text        not null,
    part          int         not null,
    key           bytea       not null,
    body          bytea       not null,
    received_at   timestamptz not null,
    lease_until   timestamptz,
    folded_at     timestamptz,
    forward_until timestamptz, -- a forwarder's lease
    forwarded_at  timestamptz,
    primary key (receipt, part)
);
create index inbox_unfolded_idx on inbox (received_at) where folded_at is null;
create index inbox_unforwarded_idx on inbox (received_at) where forwarded_at is null;

-- What could not be decided, down to the alert: index is -1 for a whole record.
create table dead_letters (
    pointer     text        not null,
    index       int         not null,
    receipt     text        not null,
    integration text        not null,
    reason      text        not null,
    body        bytea,
    at          timestamptz not null,
    primary key (pointer, index)
);
create index dead_letters_at_idx on dead_letters (at);
create index dead_letters_receipt_idx on dead_letters (receipt);
