with source as (

    select * from {{ source('raw', 'social_interactions') }}

),

renamed as (

    select
        interaction_id,
        log_position,
        user_id,
        content_id,

        interaction_type,
        occurred_at,
        rating,
        comment_text,
        coalesce(comment_text = '', false) as is_removed,
        reply_to_id,
        reply_to_id is not null as is_reply,
        share_channel,

        cast(occurred_at as date) < _logical_date as is_late,
        _logical_date,
        _loaded_at
    from source

)

select * from renamed
