-- SI and human units, one row per station and hour: the version that was published last, also where a table kept older ones.
with source as (

    select
        *,
        row_number() over (
            partition by geo_id_insee, validity_time
            order by reference_time desc, _loaded_at desc
        ) as place_from_newest
    from {{ source('raw_weather', 'observations') }}

),

renamed as (

    select
        geo_id_insee as station_id,
        case when length(dept_code) = 1 then concat('0', dept_code) else upper(dept_code) end as department,
        validity_time as observed_at,
        cast(validity_time as date) as observed_on,
        reference_time as published_at,
        lat as latitude,
        lon as longitude,

        {{ rounded('t - 273.15', 5, 2) }} as temperature_c,
        {{ rounded('td - 273.15', 5, 2) }} as dew_point_c,
        {{ rounded('tx - 273.15', 5, 2) }} as max_temperature_c,
        {{ rounded('tn - 273.15', 5, 2) }} as min_temperature_c,
        {{ rounded('u', 5, 1) }} as humidity_percent,

        {{ rounded('dd', 5, 1) }} as wind_direction_degrees,
        {{ rounded('ff', 6, 2) }} as wind_speed_ms,
        {{ rounded('ff * 3.6', 6, 1) }} as wind_speed_kmh,
        -- v1 calls the strongest gust fxi, v2 raf
        {{ rounded('coalesce(raf, fxi)', 6, 2) }} as gust_ms,
        {{ rounded('coalesce(raf, fxi) * 3.6', 6, 1) }} as gust_kmh,
        {{ rounded('coalesce(ddraf, dxi)', 5, 1) }} as gust_direction_degrees,

        {{ rounded('rr1', 6, 1) }} as precipitation_mm,
        {{ rounded('sss * 100', 6, 1) }} as snow_depth_cm,
        {{ rounded('vv / 1000', 6, 2) }} as visibility_km,
        {{ rounded('n', 3, 1) }} as cloud_cover_eighths,
        {{ rounded('insolh', 5, 1) }} as sunshine_minutes,
        {{ rounded('ray_glo01 / 10000', 8, 2) }} as radiation_j_cm2,
        {{ rounded('pres / 100', 6, 1) }} as pressure_hpa,
        {{ rounded('pmer / 100', 6, 1) }} as sea_level_pressure_hpa
    from source
    where place_from_newest = 1

)

select * from renamed
