-- Where incidents stand that alerts of services akin, or with equal labels, may join: at one spot of each rule.
create table correlation (
    incident  text        not null,
    rule      text        not null,
    key       text        not null,
    service   text        not null, -- '' where the rule does not mind it
    opened_at timestamptz not null,
    opener    text        not null, -- the alert that opened it
    is_open   boolean     not null default true,
    begun     bigint      not null generated always as identity unique, -- counts up, in the order of saves
    primary key (incident, rule)
);
create index correlation_spot_idx on correlation (rule, key, service, opened_at) where is_open;
create index correlation_opened_idx on correlation (opened_at);
