-- A session is one user on one device. Should the platform ever break that promise, session_id is no longer unique here and its test says so.
with viewings as (

    select * from {{ ref('stg_streaming__viewing_logs') }}

),

sessions as (

    select
        session_id,
        user_id,
        device,
        country,
        min(viewed_on) as viewed_on,
        min(started_at) as started_at,
        max(started_at) as last_viewing_at,
        count(*) as viewings,
        {{ count_where('is_completed is not null') }} as finishable_viewings,
        {{ count_where('is_completed') }} as completed_viewings,
        sum(watched_seconds) as watched_seconds
    from viewings
    group by session_id, user_id, device, country

)

select * from sessions
