{#
  Where a model with a schema of its own is built. In prod that is the schema as written, which readers know by its name; everywhere else it comes
  behind the target's own, so that nobody's dev run touches what others read. Models without one are in the target's schema.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name is none -%} {{ target.schema }}
    {%- elif target.name == 'prod' -%} {{ custom_schema_name | trim }}
    {%- else -%} {{ target.schema }}_{{ custom_schema_name | trim }}
    {%- endif -%}
{%- endmacro %}
