-- What 0001 did not keep: first times, where people's words are, attempts at messages, and where each escalation stands.
-- All of it is in the log: everything is emptied, and the projector fills it again from the first event.
truncate incidents, alerts, escalations, pages, timeline;
update cursor set position = 0;

alter table incidents
    add column first_acknowledged_at timestamptz, -- these two stay when it is given back or reopened
    add column first_resolved_at     timestamptz,
    add column words text; -- the payload that has what the person wrote who created it
alter table timeline add column words text; -- the payload that has a comment
create index incidents_opened_at_idx on incidents (opened_at);
create index incidents_assignees_idx on incidents using gin (assignees);

alter table escalations
    add column status text not null,
    add column loop   int  not null, -- the loop and step that run next, both from 1
    add column step   int  not null;

-- One row per attempt at a page that had an outcome. The same delivery carried every page that names it.
create table attempts (
    page            text   not null,
    position        bigint not null,
    incident        text   not null,
    delivery        text   not null,
    number          int    not null,
    at              timestamptz not null,
    outcome         text   not null,
    possible_repeat boolean not null,
    reason          text,
    primary key (page, position)
);
create index attempts_incident_idx on attempts (incident);
create index attempts_delivery_idx on attempts (delivery);
