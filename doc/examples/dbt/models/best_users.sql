{{ config(materialized='table', pre_hook="{{ behavpred_train('buys_42') }}") }}
{{ behavpred_audience('buys_42', 1000) }}
