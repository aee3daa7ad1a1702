-- Position up to which earlier epochs speak: the end of the log when `tocsin restored` raised the epoch.
alter table store_identity add column since bigint not null default 0;
