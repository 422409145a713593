-- After a restore from a backup of long ago (sonic.is_old): changes that were not handed over are of
-- the past. What still stands is told anew by an evaluation that reads it fresh (or, where nobody can
-- say, ten minutes after the first); what is over is told to nobody.
with held as (
    update outbox set sent_time = now(), claimed_until = null
    where current_setting('sonic.is_old')::boolean and sent_time is null returning noted)
select set_config('sonic.held_changes', (count(*) filter (where not noted))::text, true) from held;

-- Deaths (16) and advice (17) are not read here, but reported when they change.
update alert set notified_level = 0, digest_sequence = 0
where current_setting('sonic.is_old')::boolean and (notified_level > 0 or digest_sequence <> 0)
    and kind / 4 not in (16, 17);

-- One that still stands is reported anew: cyclone forgot it too.
update alert set previous_level = level, level = 1, notified_level = 0, kept_level = 0,
    digest_sequence = 0, held_status = 0, held_level = 0, held_until_micros = 0
where current_setting('sonic.is_old')::boolean and kind / 4 = 16 and level > 1;

-- The end of a hold would tell what it kept before anybody looked.
update alert set held_status = 0, held_level = 0, held_until_micros = 0
where current_setting('sonic.is_old')::boolean and held_status <> 0 and kind / 4 not in (16, 17)
    and held_until_micros <= extract(epoch from now()) * 1000000;

update service_state set fresh_only_until_micros = -1 where current_setting('sonic.is_old')::boolean;
