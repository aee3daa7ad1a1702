-- The state of a group says how many of its alerts nothing is said of. Kept states do not; they are made again from events.
delete from snapshots where stream like 'group-%';
