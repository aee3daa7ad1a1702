-- How far each role that follows the log has come, by its own word: what others measure it by.
create table progress (
    role     text        primary key,
    position bigint      not null,
    at       timestamptz not null -- the database's clock
);

-- Times in which something stood still, as the watchdogs saw them. At most one is open per role, so that several
-- gateways tell people once.
create table outages (
    id         bigint generated always as identity primary key,
    role       text        not null,
    began_at   timestamptz not null,
    ended_at   timestamptz,
    claimed_at timestamptz not null, -- somebody is about to tell people; taken over when it does not happen
    told       boolean     not null default false
);
create unique index outages_open_idx on outages (role) where ended_at is null;

-- What pruning looks for.
create index pages_settled_idx on pages (at) where status not in ('queued', 'claimed');
create index inbox_done_idx on inbox (received_at) where folded_at is not null and forwarded_at is not null;

-- When a text came (the database's clock), for those who do not want to keep texts for ever.
alter table payloads add column at timestamptz not null default clock_timestamp();
create index payloads_alerts_idx on payloads (at) where body is not null and ref like 'alert/%';
