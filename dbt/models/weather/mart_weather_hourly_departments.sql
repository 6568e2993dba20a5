select
    department,
    observed_at,
    cast(count(distinct station_id) as {{ dbt.type_bigint() }}) as stations,
    {{ rounded('avg(temperature_c)', 5, 2) }} as temperature_c,
    {{ rounded('min(min_temperature_c)', 5, 2) }} as min_temperature_c,
    {{ rounded('max(max_temperature_c)', 5, 2) }} as max_temperature_c,
    {{ rounded('avg(humidity_percent)', 5, 1) }} as humidity_percent,
    {{ rounded('avg(wind_speed_kmh)', 6, 1) }} as wind_speed_kmh,
    {{ rounded('max(gust_kmh)', 6, 1) }} as gust_kmh,
    {{ rounded('avg(precipitation_mm)', 6, 1) }} as precipitation_mm,
    {{ rounded('avg(sunshine_minutes)', 5, 1) }} as sunshine_minutes,
    {{ rounded('avg(sea_level_pressure_hpa)', 6, 1) }} as sea_level_pressure_hpa
from {{ ref('stg_weather__observations') }}
group by department, observed_at
