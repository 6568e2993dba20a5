{#
  In place of dbt's own cast, which its contracts are compared with: BigQuery knows numeric(5, 4) as the type of a column only, and refuses it
  in a cast ("Parameterized types are not allowed in CAST expressions").
#}
{% macro bigquery__cast(expression, data_type) -%}
    cast({{ expression }} as {{ modules.re.sub('\\([^)]*\\)', '', data_type) }})
{%- endmacro %}
