-- That something works again is told as surely as that it stood still: by somebody else when it does not happen.
alter table outages add column end_claimed_at timestamptz, add column end_told boolean not null default false;
update outages set end_told = true where ended_at is not null;
