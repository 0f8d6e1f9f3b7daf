{# Bring a target's model up to date after the model that it reads was built:
   {{ config(post_hook="{{ behavpred_train('buys_42') }}") }} #}
{% macro behavpred_train(target) %}
SELECT version, auc, deployed FROM behavpred.train_target('{{ target }}')
{% endmacro %}

{# The best users for a target, as the body of a model. #}
{% macro behavpred_audience(target, size) %}
SELECT a.rank, a.user_key, a.probability, a.lift
FROM behavpred.audience('{{ target }}', size => {{ size }}) AS a
{% endmacro %}
