select
    station_id,
    department,
    observed_on,
    cast(count(*) as {{ dbt.type_bigint() }}) as hours,
    {{ rounded('avg(temperature_c)', 5, 2) }} as temperature_c,
    {{ rounded('min(min_temperature_c)', 5, 2) }} as min_temperature_c,
    {{ rounded('max(max_temperature_c)', 5, 2) }} as max_temperature_c,
    {{ rounded('avg(humidity_percent)', 5, 1) }} as humidity_percent,
    {{ rounded('avg(wind_speed_kmh)', 6, 1) }} as wind_speed_kmh,
    {{ rounded('max(gust_kmh)', 6, 1) }} as gust_kmh,
    {{ rounded('sum(precipitation_mm)', 7, 1) }} as precipitation_mm,
    {{ rounded('sum(sunshine_minutes) / 60', 5, 2) }} as sunshine_hours,
    {{ rounded('avg(sea_level_pressure_hpa)', 6, 1) }} as sea_level_pressure_hpa
from {{ ref('stg_weather__observations') }}
group by station_id, department, observed_on
