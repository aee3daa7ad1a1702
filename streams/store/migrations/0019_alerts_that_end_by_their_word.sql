-- When a firing alert ends by its source's word, unless it is reported again.
alter table alert_state add column ends_at timestamptz;
