-- After a restore from a backup of long ago (sonic.is_old): a run that finds the same again tells it
-- anew; what is over is told to nobody.
with held as (delete from outbox where current_setting('sonic.is_old')::boolean returning level - 1 as level, subject)
select set_config('sonic.held', (current_setting('sonic.held')::jsonb || coalesce(
    jsonb_agg(jsonb_build_object('level', level, 'subject', subject)), '[]'))::text, true) from held;

delete from incident where current_setting('sonic.is_old')::boolean;
