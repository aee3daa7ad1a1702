-- The state of a group says how many alerts fire in each episode. Snapshots are derived and disposable: they are made anew.
delete from snapshots;
