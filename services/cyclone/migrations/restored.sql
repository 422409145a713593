-- After a restore: the first cycle says so. From a backup of long ago (sonic.is_old), deaths are of the
-- past, whoever told them (one that still stands is raised anew), and so are results that were to be
-- sent.
delete from incident where current_setting('sonic.is_old')::boolean;

update cycle set result_time = now(), result_problem = 'of the past, by a restore from an old backup'
where current_setting('sonic.is_old')::boolean and deliver_to <> '{}' and result_time is null;

insert into restore (taken_time, restored_time, held, held_change_count)
values (current_setting('sonic.taken_time')::timestamptz, now(),
    current_setting('sonic.held')::jsonb, current_setting('sonic.held_changes')::bigint);
