with viewings as (

    select * from {{ ref('stg_streaming__viewing_logs') }}

),

interactions as (

    select * from {{ ref('int_interactions_resolved') }}

),

known_contents as (

    select content_id from viewings
    union all
    select content_id from interactions

),

contents as (

    select content_id from known_contents group by content_id

),

-- A title can be corrected on the platform: the latest viewing knows best.
descriptions as (

    select
        content_id,
        content_title,
        series_title,
        content_type,
        duration_seconds,
        row_number() over (partition by content_id order by started_at desc, viewing_id) as place_from_last
    from viewings

),

audience as (

    select
        content_id,
        count(*) as viewings,
        count(distinct user_id) as viewers,
        sum(watched_seconds) as watched_seconds,
        min(started_at) as first_viewed_at,
        max(started_at) as last_viewed_at,
        avg(watched_share) as average_watched_share,
        {{ ratio(count_where('is_completed'), count_where('is_completed is not null'), 5, 4) }} as completion_rate
    from viewings
    group by content_id

),

reactions as (

    select
        content_id,
        {{ count_where("is_standing and interaction_type = 'like'") }} as likes,
        {{ count_where("is_standing and interaction_type = 'rate'") }} as ratings,
        avg(case when is_standing then rating end) as average_rating,
        {{ count_where("is_standing and interaction_type = 'comment'") }} as comments,
        {{ count_where("is_standing and interaction_type = 'share'") }} as shares,
        {{ count_where("is_standing and interaction_type = 'watchlist'") }} as watchlist_entries
    from interactions
    group by content_id

)

select
    contents.content_id,
    descriptions.content_title,
    descriptions.series_title,
    descriptions.content_type,
    descriptions.duration_seconds,

    cast(
        rank() over (order by coalesce(audience.watched_seconds, 0) desc, contents.content_id) as {{ dbt.type_bigint() }}
    ) as watch_time_rank,
    cast(coalesce(audience.viewers, 0) as {{ dbt.type_bigint() }}) as viewers,
    cast(coalesce(audience.viewings, 0) as {{ dbt.type_bigint() }}) as viewings,
    cast(coalesce(audience.watched_seconds, 0) as {{ dbt.type_bigint() }}) as watched_seconds,
    {{ ratio('coalesce(audience.watched_seconds, 0)', '3600', 12, 2) }} as watched_hours,
    {{ rounded('audience.average_watched_share', 5, 4) }} as average_watched_share,
    audience.completion_rate,
    audience.first_viewed_at,
    audience.last_viewed_at,

    cast(coalesce(reactions.likes, 0) as {{ dbt.type_bigint() }}) as likes,
    {{ ratio('100 * coalesce(reactions.likes, 0)', 'audience.viewers', 10, 2) }} as likes_per_100_viewers,
    cast(coalesce(reactions.ratings, 0) as {{ dbt.type_bigint() }}) as ratings,
    {{ rounded('reactions.average_rating', 3, 2) }} as average_rating,
    cast(coalesce(reactions.comments, 0) as {{ dbt.type_bigint() }}) as comments,
    cast(coalesce(reactions.shares, 0) as {{ dbt.type_bigint() }}) as shares,
    cast(coalesce(reactions.watchlist_entries, 0) as {{ dbt.type_bigint() }}) as watchlist_entries
from contents
left join descriptions on contents.content_id = descriptions.content_id and descriptions.place_from_last = 1
left join audience on contents.content_id = audience.content_id
left join reactions on contents.content_id = reactions.content_id
