-- The event that opens an incident is found by its number: by the bytes behind "number": in what it says. Nothing is
-- parsed, so no event is refused because of what it says.
create index stored_events_opened_idx
    on stored_events (substring(state from position('"number":'::bytea in state) + 9 for 20))
    where topic like 'incident.opened.%';
