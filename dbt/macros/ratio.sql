{#
  numerator / denominator as numeric(precision, scale); NULL where the denominator is 0 or NULL. Postgres divides two integers as integers,
  DuckDB and BigQuery do not: with a numeric numerator all three agree, but for the last digit of a tie (DuckDB divides numerics as doubles).
#}
{% macro ratio(numerator, denominator, precision, scale) -%}
    {{ rounded('cast(' ~ numerator ~ ' as ' ~ dbt.type_numeric() ~ ') / nullif(' ~ denominator ~ ', 0)', precision, scale) }}
{%- endmacro %}
