-- An incident that was the same as another is merged into that: its stream and its number.
alter table incidents add column merged_into text, add column merged_number bigint;
