-- The marts count the same reactions from two sides, by who reacted and by what to.
with by_user as (

    select
        coalesce(sum(likes), 0) as likes,
        coalesce(sum(ratings), 0) as ratings,
        coalesce(sum(comments), 0) as comments,
        coalesce(sum(shares), 0) as shares,
        coalesce(sum(watchlist_entries), 0) as watchlist_entries
    from {{ ref('mart_users') }}

),

by_content as (

    select
        coalesce(sum(likes), 0) as likes,
        coalesce(sum(ratings), 0) as ratings,
        coalesce(sum(comments), 0) as comments,
        coalesce(sum(shares), 0) as shares,
        coalesce(sum(watchlist_entries), 0) as watchlist_entries
    from {{ ref('mart_content_performance') }}

)

select by_user.*
from by_user
cross join by_content
where by_user.likes <> by_content.likes
    or by_user.ratings <> by_content.ratings
    or by_user.comments <> by_content.comments
    or by_user.shares <> by_content.shares
    or by_user.watchlist_entries <> by_content.watchlist_entries
