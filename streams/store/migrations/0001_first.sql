-- The log. Column names are those of the eventsourcing library's recorder; notification_id is the position.
create table stored_events (
    originator_id      text   not null,
    originator_version bigint not null,
    topic              text   not null,
    state              bytea  not null,
    notification_id    bigint not null,
    hash               bytea  not null,
    primary key (originator_id, originator_version)
) with (
    autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_analyze_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.01
);
create unique index stored_events_notification_id_idx on stored_events (notification_id);

-- Who this store is. The epoch is raised by a restore from backup, so that consumers can tell.
create table store_identity (
    only_row boolean primary key default true check (only_row),
    store    uuid not null default gen_random_uuid(),
    epoch    bigint not null default 1
);
insert into store_identity default values;

-- Position of the last configuration event: part of every decision, compared in every save.
create table config_head (
    only_row boolean primary key default true check (only_row),
    revision bigint not null default 0
);
insert into config_head default values;

create sequence incident_number;

-- Last folded offset per partition of a named Kafka cluster: the only position that counts.
create table tracking (
    cluster   text   not null,
    topic     text   not null,
    partition int    not null,
    "offset"  bigint not null,
    primary key (cluster, topic, partition)
);

-- What is remembered of each alert between reports.
create table alert_state (
    id          uuid primary key,
    integration text not null,
    fingerprint text not null,
    status      text not null,
    severity    text not null,
    rev         bigint not null,
    source_time timestamptz not null,
    received_at timestamptz not null,
    receipt     text not null,
    first_seen  timestamptz not null,
    last_seen   timestamptz not null,
    count       bigint not null,
    "group"     text,
    episode     int not null default 0,
    incident    text,
    payload     text
) with (fillfactor = 70);
create index alert_state_incident_idx on alert_state (incident, last_seen);

-- Deadlines of every kind.
create table due (
    kind        text not null,
    key         text not null,
    at          timestamptz not null,
    rev         bigint not null,
    lease_until timestamptz,
    primary key (kind, key)
) with (fillfactor = 70);
create index due_at_idx on due (kind, at);

-- What is to be said to whom. Rows of pages that are over stay until they are pruned.
create table pages (
    id              text primary key,
    escalation      text not null,
    incident        text not null,
    "user"          text not null,
    method          text not null,
    status          text not null,
    at              timestamptz not null,
    attempt         int not null default 0,
    possible_repeat boolean not null default false,
    bundle          uuid,        -- the first claim: pages said together are said together again
    bundled_at      timestamptz, -- when that was
    claim           uuid,
    lease_until     timestamptz
) with (fillfactor = 70);
create index pages_queued_idx on pages (at) where status = 'queued';
create index pages_claimed_idx on pages (lease_until) where status = 'claimed';
create index pages_told_idx on pages (incident, "user", method);
create index pages_pending_idx on pages (escalation) where status in ('queued', 'claimed');

-- Erasable text and personal data; events hold only the key and a salted digest.
create table payloads (
    ref    text primary key,
    salt   bytea,
    body   bytea
);
