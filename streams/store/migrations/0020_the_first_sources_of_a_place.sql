-- Of several alerts that inhibit at a place the first count, so that it is the same ones whoever asks.
drop index inhibition_source_idx;
create index inhibition_source_idx on inhibition (rule, key, is_target, alert) where is_source;
