-- The states of incidents say which alert groups belong to them, those of groups to which incidents their episodes do.
-- Snapshots are derived and disposable: they are made anew.
delete from snapshots;
