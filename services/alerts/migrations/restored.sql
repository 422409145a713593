-- After a restore from a backup of long ago (sonic.is_old): changes that were not handed over are of
-- the past. What still stands is told anew by the first evaluation, what is over is told to nobody.
with held as (
    update outbox set sent_time = now(), claimed_until = null
    where current_setting('sonic.is_old')::boolean and sent_time is null returning noted)
select set_config('sonic.held_changes', (count(*) filter (where not noted))::text, true) from held;

update alert set notified_level = 0, digest_sequence = 0
where current_setting('sonic.is_old')::boolean and (notified_level > 0 or digest_sequence <> 0);
