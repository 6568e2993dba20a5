{# One row when the share of rows with a value is below at_least. An empty table has no share and passes. #}
{% test not_null_proportion(model, column_name, at_least) %}

select share_with_value
from (
    select {{ ratio('count(' ~ column_name ~ ')', 'count(*)', 5, 4) }} as share_with_value
    from {{ model }}
) as measured
where share_with_value < {{ at_least }}

{% endtest %}
