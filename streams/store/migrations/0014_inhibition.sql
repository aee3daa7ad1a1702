-- Where firing alerts stand that inhibit others or are inhibited: found by place, and by alert when it ends.
create table inhibition (
    rule text not null,
    key text not null,
    alert uuid not null,
    is_source boolean not null,
    is_target boolean not null,
    primary key (rule, key, alert)
);
create index inhibition_alert_idx on inhibition (alert);
create index inhibition_source_idx on inhibition (rule, key, is_target) where is_source;
