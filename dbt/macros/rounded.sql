{#
  A number as numeric(precision, scale), a tie away from zero. The nine digits in between are those of BigQuery's numeric. DuckDB divides and
  averages in binary, where 4.765 is a little less: without them it would give 4.76, and the others 4.77. The cast alone rounds on DuckDB and
  Postgres, but is not promised to on BigQuery.
#}
{% macro rounded(number, precision, scale) -%}
    {%- set exact = dbt.cast(number, 'numeric(28, 9)') -%}
    {{ dbt.cast('round(' ~ exact ~ ', ' ~ scale ~ ')', 'numeric(' ~ precision ~ ', ' ~ scale ~ ')') }}
{%- endmacro %}
