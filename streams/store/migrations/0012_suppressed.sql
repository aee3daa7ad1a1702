-- Why nothing is said of a firing alert: reason/rule. When it began and ended lately, and the alerts that it is on the
-- further routes that it takes: separated by blanks.
alter table alert_state add column suppressed text, add column flips text not null default '',
    add column ways text not null default '';
