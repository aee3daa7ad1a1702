-- Why nothing is said of a firing alert: reason/rule. When it began and ended lately: times, separated by blanks.
alter table alert_state add column suppressed text, add column flips text not null default '';
