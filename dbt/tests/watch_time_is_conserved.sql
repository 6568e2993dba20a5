-- Every second that was loaded is in both marts, once.
with totals as (

    select
        (select coalesce(sum(watched_seconds), 0) from {{ ref('stg_streaming__viewing_logs') }}) as loaded,
        (select coalesce(sum(watched_seconds), 0) from {{ ref('mart_users') }}) as in_users,
        (select coalesce(sum(watched_seconds), 0) from {{ ref('mart_content_performance') }}) as in_contents

)

select * from totals
where loaded <> in_users or loaded <> in_contents
