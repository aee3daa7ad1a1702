-- One index in which the first at a place are found, so that the planner cannot take one that reads all that stand there.
alter table inhibition drop constraint inhibition_pkey;
drop index inhibition_source_idx;
drop index inhibition_alert_idx;
alter table inhibition add primary key (rule, key, is_source, is_target, alert);
create index inhibition_alert_idx on inhibition using hash (alert);
