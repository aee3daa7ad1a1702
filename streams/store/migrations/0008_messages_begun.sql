-- When messages to a person were begun lately, by the application's clock: nobody gets too many in a minute, however
-- many pagers there are. A claim of the person's pages locks the row, and forgets what is a minute old.
create table messages_begun (
    "user" text          not null,
    method text          not null,
    times  timestamptz[] not null,
    primary key ("user", method)
) with (fillfactor = 70);
