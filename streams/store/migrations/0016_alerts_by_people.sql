-- What people say of single alerts: who has one that fires, and up to which source time a firing is over by their word.
alter table alert_state add column acknowledged text, add column closed timestamptz;
