-- Read models. Every row is made of events alone; `position` is that of the last event that changed it, and no event
-- at or before it changes the row again.
-- A column that is not set by every insert must be nullable: rows are written whole (projections/tables.py).

-- How far the read models are: changed in the same transaction as the rows.
create table cursor (
    only_row boolean primary key default true check (only_row),
    position bigint not null default 0
);
insert into cursor default values;

create table incidents (
    id              text primary key, -- the stream, incident-<uuid>
    number          bigint not null,
    title           text   not null,
    status          text   not null,
    severity        text   not null,
    service         text   not null,
    team            text   not null,
    policy          text   not null,
    started_at      timestamptz not null,
    opened_at       timestamptz not null,
    first_paged_at  timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    resolved_at     timestamptz,
    resolved_by     text,
    assignees       text[] not null,
    version         bigint not null,
    position        bigint not null
) with (fillfactor = 80);
-- The list is ordered by number, newest first; each filter has an index that is in that order already.
create unique index incidents_number_idx on incidents (number);
create index incidents_status_idx on incidents (status, number);
create index incidents_severity_idx on incidents (severity, number);
create index incidents_service_idx on incidents (service, number);
create index incidents_team_idx on incidents (team, number);

-- Which alerts an incident has had. An alert that fires again belongs to another incident, but stays counted here.
create table alerts (
    incident       text not null,
    alert          uuid not null,
    last_report_at timestamptz not null,
    position       bigint not null,
    primary key (incident, alert)
);

create table escalations (
    id       text primary key,
    incident text   not null,
    run      int    not null,
    policy   jsonb  not null, -- the copy that it runs by
    first_at timestamptz not null,
    correlation_id text not null,
    position bigint not null
);
create index escalations_incident_idx on escalations (incident, run);

create table pages (
    id         text primary key,
    incident   text not null,
    escalation text not null,
    loop       int  not null,
    step       int  not null,
    "user"     text not null,
    method     text not null,
    status     text not null,
    queued_at  timestamptz not null,
    settled_at timestamptz,
    delivery   text,
    reason     text,
    position   bigint not null
) with (fillfactor = 80);
create index pages_incident_idx on pages (incident);

-- One row per event that belongs to an incident.
create table timeline (
    incident       text   not null,
    position       bigint not null,
    at             timestamptz not null,
    type           text   not null,
    text           text   not null,
    actor          text   not null,
    origin         text   not null,
    correlation_id text   not null,
    primary key (incident, position)
);
