-- Signed seals over the log, in order. `document` is the very line that is also in the file and on the topic.
create table seals (
    number   bigint primary key,
    first    bigint not null,
    last     bigint not null,
    document bytea  not null
);
