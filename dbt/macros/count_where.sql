{# How many rows of the group meet the condition: count(*) filter (where …) for warehouses that have no filter clause. #}
{% macro count_where(condition) -%}
    sum(case when {{ condition }} then 1 else 0 end)
{%- endmacro %}
