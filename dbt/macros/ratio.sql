{#
  numerator / denominator as numeric(precision, scale); NULL where the denominator is 0 or NULL. With a numeric numerator it is the same number
  everywhere: Postgres would divide two integers as integers.
#}
{% macro ratio(numerator, denominator, precision, scale) -%}
    {{ rounded(dbt.cast(numerator, dbt.type_numeric()) ~ ' / nullif(' ~ denominator ~ ', 0)', precision, scale) }}
{%- endmacro %}
