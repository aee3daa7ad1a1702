-- Alerts are listed newest first, most often only those that fire.
create index alert_state_seen_idx on alert_state (first_seen desc, id desc);
create index alert_state_firing_idx on alert_state (first_seen desc, id desc) where status = 'firing';
