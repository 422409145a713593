-- After a restore from a backup of long ago (sonic.is_old): changes of advice that were not handed over
-- are of the past; the next change is told.
with held as (
    update outbox set sent_time = now() from decision
    where current_setting('sonic.is_old')::boolean and sent_time is null
        and decision.key = decision_key
    returning decision.asset),
news as (select distinct asset from held)
select set_config('sonic.held', (current_setting('sonic.held')::jsonb || coalesce(
    jsonb_agg(jsonb_build_object('level', 1, 'subject', asset || ': advice on withdrawals changed')
    order by asset), '[]'))::text, true) from news;
