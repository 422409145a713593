-- After a restore: the first cycle says so. From a backup of long ago (sonic.is_old), a death that
-- nobody heard of, or that xcom alone told, is of the past, and so are results that were to be sent.
delete from incident where current_setting('sonic.is_old')::boolean and notified_by <> 'ALERTS';

update cycle set result_time = now(), result_problem = 'of the past, by a restore from an old backup'
where current_setting('sonic.is_old')::boolean and deliver_to <> '{}' and result_time is null;

insert into restore (taken_time, restored_time, held, held_change_count)
values (current_setting('sonic.taken_time')::timestamptz, now(),
    current_setting('sonic.held')::jsonb, current_setting('sonic.held_changes')::bigint);
