-- What became of a receipt is found by the correlation id of what was decided from it.
create index timeline_correlation_idx on timeline (correlation_id);
