with sessions as (

    select * from {{ ref('int_viewing_logs_grouped_to_sessions') }}

),

interactions as (

    select * from {{ ref('int_interactions_resolved') }}

),

activity as (

    select user_id, started_at as seen_from, last_viewing_at as seen_until from sessions
    union all
    select user_id, occurred_at, occurred_at from interactions

),

users as (

    select
        user_id,
        min(seen_from) as first_seen_at,
        max(seen_until) as last_seen_at
    from activity
    group by user_id

),

-- "Today" is the last moment the data knows, never the clock: a rebuild of the same data gives the same mart.
data_end as (

    select max(last_seen_at) as ends_at from users

),

viewing as (

    select
        user_id,
        count(*) as sessions,
        count(distinct viewed_on) as viewing_days,
        sum(viewings) as viewings,
        sum(watched_seconds) as watched_seconds,
        {{ ratio('sum(watched_seconds)', '60 * count(*)', 10, 2) }} as average_session_minutes,
        {{ ratio('sum(completed_viewings)', 'sum(finishable_viewings)', 5, 4) }} as completion_rate
    from sessions
    group by user_id

),

time_by_device as (

    select
        user_id,
        device,
        row_number() over (partition by user_id order by sum(watched_seconds) desc, device) as place
    from sessions
    group by user_id, device

),

located_sessions as (

    select
        user_id,
        country,
        row_number() over (partition by user_id order by started_at desc, session_id) as place_from_last
    from sessions
    where country is not null

),

reactions as (

    select
        user_id,
        count(*) as interactions,
        {{ count_where("is_standing and interaction_type = 'like'") }} as likes,
        {{ count_where("is_standing and interaction_type = 'rate'") }} as ratings,
        avg(case when is_standing then rating end) as average_rating,
        {{ count_where("is_standing and interaction_type = 'comment'") }} as comments,
        {{ count_where("is_standing and interaction_type = 'share'") }} as shares,
        {{ count_where("is_standing and interaction_type = 'watchlist'") }} as watchlist_entries
    from interactions
    group by user_id

)

select
    users.user_id,
    located_sessions.country,
    time_by_device.device as favourite_device,
    case
        when viewing.sessions is null then 'social_only'
        when viewing.average_session_minutes >= 90 then 'binger'
        when viewing.viewing_days >= 2 then 'regular'
        else 'occasional'
    end as segment,

    users.first_seen_at,
    users.last_seen_at,
    cast({{ dbt.datediff('users.last_seen_at', 'data_end.ends_at', 'day') }} as {{ dbt.type_int() }}) as days_since_last_seen,

    cast(coalesce(viewing.viewing_days, 0) as {{ dbt.type_bigint() }}) as viewing_days,
    cast(coalesce(viewing.sessions, 0) as {{ dbt.type_bigint() }}) as sessions,
    cast(coalesce(viewing.viewings, 0) as {{ dbt.type_bigint() }}) as viewings,
    cast(coalesce(viewing.watched_seconds, 0) as {{ dbt.type_bigint() }}) as watched_seconds,
    {{ ratio('coalesce(viewing.watched_seconds, 0)', '3600', 12, 2) }} as watched_hours,
    viewing.average_session_minutes,
    viewing.completion_rate,

    cast(coalesce(reactions.interactions, 0) as {{ dbt.type_bigint() }}) as interactions,
    cast(coalesce(reactions.likes, 0) as {{ dbt.type_bigint() }}) as likes,
    cast(coalesce(reactions.ratings, 0) as {{ dbt.type_bigint() }}) as ratings,
    {{ rounded('reactions.average_rating', 3, 2) }} as average_rating,
    cast(coalesce(reactions.comments, 0) as {{ dbt.type_bigint() }}) as comments,
    cast(coalesce(reactions.shares, 0) as {{ dbt.type_bigint() }}) as shares,
    cast(coalesce(reactions.watchlist_entries, 0) as {{ dbt.type_bigint() }}) as watchlist_entries
from users
cross join data_end
left join viewing on users.user_id = viewing.user_id
left join time_by_device on users.user_id = time_by_device.user_id and time_by_device.place = 1
left join located_sessions on users.user_id = located_sessions.user_id and located_sessions.place_from_last = 1
left join reactions on users.user_id = reactions.user_id
