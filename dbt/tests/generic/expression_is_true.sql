{# Rows for which the condition does not hold. One that is NULL holds, as in a check constraint. #}
{% test expression_is_true(model, expression) %}

select *
from {{ model }}
where not ({{ expression }})

{% endtest %}
