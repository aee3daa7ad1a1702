-- Deadlines of first pages that wait for a partition to be caught up with, so that a resolve behind them is seen first.
alter table due add column held text; -- cluster/topic/partition
create index due_held_idx on due (held) where held is not null;
