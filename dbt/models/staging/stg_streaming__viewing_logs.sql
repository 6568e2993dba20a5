with source as (

    select * from {{ source('raw', 'viewing_logs') }}

),

renamed as (

    select
        event_id as viewing_id,
        user_id,
        session_id,
        content_id,

        content_title,
        series_title,
        content_type,
        content_duration_seconds as duration_seconds,

        started_at,
        viewed_on,
        watched_seconds,
        -- a recording can be watched past its stated end, so the share stops at 1; a live stream has no length and no share
        case
            when watched_seconds >= content_duration_seconds then {{ dbt.cast('1', 'numeric(5, 4)') }}
            else {{ ratio('watched_seconds', 'content_duration_seconds', 5, 4) }}
        end as watched_share,
        completed as is_completed,

        device,
        country,
        case when campaign = '' then 'none' else coalesce(campaign, 'unknown') end as campaign,
        average_bitrate_mbps is null as is_offline,

        cast(started_at as date) < _logical_date as is_late,
        _logical_date,
        _loaded_at
    from source

)

select * from renamed
