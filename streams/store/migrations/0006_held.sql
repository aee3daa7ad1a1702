-- Deadlines of first pages that wait for a partition to be caught up with, so that a resolve behind them is seen first.
alter table due add column held text; -- cluster/topic/partition
alter table due add column ready_at timestamptz; -- when it would have come without the wait
create index due_held_idx on due (held) where held is not null;
