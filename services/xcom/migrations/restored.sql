-- After a restore from a backup of long ago (sonic.is_old): what waited there, its tries to come and
-- the contacts that were next are of the past, and nobody hears of them.
with held as (
    update delivery set state = 5, claimed_until = null,
        last_error = 'held: of the past, by a restore from an old backup'
    where current_setting('sonic.is_old')::boolean and (state in (1, 6)
        or state = 4 and digest_id in (select id from delivery where state in (1, 6)))
    returning message_id)
select set_config('sonic.held', coalesce(json_agg(json_build_object('level', level, 'subject', subject)
    order by case level when 4 then 0 else level end desc, created_time desc), '[]')::text, true)
from message where id in (select message_id from held);

update message set escalation_due_time = null
where current_setting('sonic.is_old')::boolean and escalation_due_time is not null;

-- Nobody asks any more how these calls ended.
update call set state = 3 where current_setting('sonic.is_old')::boolean and state in (1, 2);
