-- When the heartbeats of the configuration (dead man's switches) were last heard of. A ping is no event.
create table pings (
    heartbeat text        primary key,
    since     timestamptz not null, -- from when on it is expected
    at        timestamptz,          -- the last ping
    ended_at  timestamptz           -- when an alert that feeds it was last reported as resolved
) with (fillfactor = 50);

-- Times in which no gateway lived to take a ping, by the database's clock.
create table gaps (
    since timestamptz primary key,
    until timestamptz not null
);
