{# Year and month of a date as whole numbers, as the marts' keys have them. #}
{% macro year_of(day) -%}
    cast(extract(year from {{ day }}) as {{ dbt.type_int() }})
{%- endmacro %}

{% macro month_of(day) -%}
    cast(extract(month from {{ day }}) as {{ dbt.type_int() }})
{%- endmacro %}
