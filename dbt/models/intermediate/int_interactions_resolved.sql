-- Interactions are a log of what people did, and the marts want to know what still stands.
with interactions as (

    select
        *,
        -- What a later interaction of the same user on the same content replaces. Every comment and share stands for itself.
        case
            when interaction_type in ('like', 'unlike') then 'like'
            when interaction_type in ('rate', 'watchlist') then interaction_type
            else interaction_id
        end as subject
    from {{ ref('stg_streaming__social_interactions') }}

),

placed as (

    select
        *,
        row_number() over (
            partition by user_id, content_id, subject
            order by occurred_at desc, log_position desc
        ) as place_from_last
    from interactions

)

select
    interaction_id,
    user_id,
    content_id,
    interaction_type,
    occurred_at,
    rating,
    place_from_last = 1 and interaction_type <> 'unlike' and not is_removed as is_standing
from placed
