-- A repeat changes nothing that is indexed, and finds room beside the row it replaces: no index is touched by it.
drop index alert_state_incident_idx;
create index alert_state_incident_idx on alert_state (incident);
alter table alert_state set (fillfactor = 75);
