-- Which alert an event is about, whether an incident has it or not ('': it waits in its group), and the runbook that an
-- incident's route names. All of it is in the log: everything is emptied, and the projector fills it again.
truncate incidents, alerts, escalations, pages, attempts, timeline;
update cursor set position = 0;

alter table timeline add column alert uuid;
create index timeline_alert_idx on timeline (alert, position) where alert is not null;
alter table incidents add column runbook text;
