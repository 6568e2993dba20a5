{# A number as numeric(precision, scale). The cast alone rounds on DuckDB and Postgres, but is not promised to on BigQuery. #}
{% macro rounded(number, precision, scale) -%}
    cast(round({{ number }}, {{ scale }}) as numeric({{ precision }}, {{ scale }}))
{%- endmacro %}
