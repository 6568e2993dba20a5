-- Nobody likes, rates or notes the same content twice.
select
    user_id,
    content_id,
    interaction_type,
    count(*) as standing
from {{ ref('int_interactions_resolved') }}
where is_standing and interaction_type in ('like', 'rate', 'watchlist')
group by user_id, content_id, interaction_type
having count(*) > 1
