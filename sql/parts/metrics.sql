-- ---------------------------------------------------------------------------
-- Metrics: aggregates over labels and scores of any table. Their states pass
-- between the processes of a parallel plan and between servers.
-- ---------------------------------------------------------------------------
CREATE TYPE behavpred_internal.metric_state;
CREATE FUNCTION behavpred_internal.metric_state_in(cstring) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_metric_state_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_state_out(behavpred_internal.metric_state) RETURNS cstring
  AS 'MODULE_PATHNAME', 'behavpred_metric_state_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_state_recv(internal) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_metric_state_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_state_send(behavpred_internal.metric_state) RETURNS bytea
  AS 'MODULE_PATHNAME', 'behavpred_metric_state_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE behavpred_internal.metric_state (
  INPUT = behavpred_internal.metric_state_in, OUTPUT = behavpred_internal.metric_state_out, RECEIVE = behavpred_internal.metric_state_recv, SEND = behavpred_internal.metric_state_send,
  INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended
);
COMMENT ON TYPE behavpred_internal.metric_state IS 'What a metric has seen so far: all scores of both classes';
COMMENT ON FUNCTION behavpred_internal.metric_state_in(cstring) IS 'Input of type metric_state';
COMMENT ON FUNCTION behavpred_internal.metric_state_out(behavpred_internal.metric_state) IS 'Output of type metric_state';
COMMENT ON FUNCTION behavpred_internal.metric_state_recv(internal) IS 'Binary input of type metric_state';
COMMENT ON FUNCTION behavpred_internal.metric_state_send(behavpred_internal.metric_state) IS 'Binary output of type metric_state';

-- What adds a row: the label is boolean, or integer 0 and 1.
CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8, integer) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8, integer) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, boolean, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_probability' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, boolean, float8, integer) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_probability' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, integer, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_probability' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, integer, float8, integer) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_probability' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_shift(behavpred_internal.metric_state, float8, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_shift' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_shift(behavpred_internal.metric_state, float8, float8, integer) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_shift' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_log_loss(float8[], boolean, float8) RETURNS float8[]
  AS 'MODULE_PATHNAME', 'behavpred_add_log_loss' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_log_loss(float8[], integer, float8) RETURNS float8[]
  AS 'MODULE_PATHNAME', 'behavpred_add_log_loss' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_brier(float8[], boolean, float8) RETURNS float8[]
  AS 'MODULE_PATHNAME', 'behavpred_add_brier' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_add_brier(float8[], integer, float8) RETURNS float8[]
  AS 'MODULE_PATHNAME', 'behavpred_add_brier' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_combine(behavpred_internal.metric_state, behavpred_internal.metric_state) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_metric_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_auc(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_auc' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_pr_auc(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_pr_auc' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_ece(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_ece' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_lift_at(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_lift_at' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_precision_at(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_precision_at' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_recall_at(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_recall_at' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_ndcg_at(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_ndcg_at' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.metric_psi(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_psi' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8, integer) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8, float8) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8, integer) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8, float8) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, boolean, float8) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, boolean, float8, integer) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, integer, float8) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, integer, float8, integer) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_shift(behavpred_internal.metric_state, float8, float8) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_shift(behavpred_internal.metric_state, float8, float8, integer) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_log_loss(float8[], boolean, float8) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_log_loss(float8[], integer, float8) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_brier(float8[], boolean, float8) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_add_brier(float8[], integer, float8) IS 'For the metrics: adds a row';
COMMENT ON FUNCTION behavpred_internal.metric_combine(behavpred_internal.metric_state, behavpred_internal.metric_state) IS 'For the metrics: joins two states';
COMMENT ON FUNCTION behavpred_internal.metric_auc(behavpred_internal.metric_state) IS 'For the metrics: the result';
COMMENT ON FUNCTION behavpred_internal.metric_pr_auc(behavpred_internal.metric_state) IS 'For the metrics: the result';
COMMENT ON FUNCTION behavpred_internal.metric_ece(behavpred_internal.metric_state) IS 'For the metrics: the result';
COMMENT ON FUNCTION behavpred_internal.metric_lift_at(behavpred_internal.metric_state) IS 'For the metrics: the result';
COMMENT ON FUNCTION behavpred_internal.metric_precision_at(behavpred_internal.metric_state) IS 'For the metrics: the result';
COMMENT ON FUNCTION behavpred_internal.metric_recall_at(behavpred_internal.metric_state) IS 'For the metrics: the result';
COMMENT ON FUNCTION behavpred_internal.metric_ndcg_at(behavpred_internal.metric_state) IS 'For the metrics: the result';
COMMENT ON FUNCTION behavpred_internal.metric_psi(behavpred_internal.metric_state) IS 'For the metrics: the result';

CREATE AGGREGATE auc(label boolean, score float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_auc, PARALLEL = SAFE
);
CREATE AGGREGATE auc(label integer, score float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_auc, PARALLEL = SAFE
);
CREATE AGGREGATE pr_auc(label boolean, score float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_pr_auc, PARALLEL = SAFE
);
CREATE AGGREGATE pr_auc(label integer, score float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_pr_auc, PARALLEL = SAFE
);
CREATE AGGREGATE ece(label boolean, probability float8) (
  SFUNC = behavpred_internal.metric_add_probability, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ece, PARALLEL = SAFE
);
CREATE AGGREGATE ece(label integer, probability float8) (
  SFUNC = behavpred_internal.metric_add_probability, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ece, PARALLEL = SAFE
);
CREATE AGGREGATE ece(label boolean, probability float8, bins integer) (
  SFUNC = behavpred_internal.metric_add_probability, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ece, PARALLEL = SAFE
);
CREATE AGGREGATE ece(label integer, probability float8, bins integer) (
  SFUNC = behavpred_internal.metric_add_probability, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ece, PARALLEL = SAFE
);
CREATE AGGREGATE lift_at(label boolean, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_lift_at, PARALLEL = SAFE
);
CREATE AGGREGATE lift_at(label integer, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_lift_at, PARALLEL = SAFE
);
CREATE AGGREGATE lift_at(label boolean, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_lift_at, PARALLEL = SAFE
);
CREATE AGGREGATE lift_at(label integer, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_lift_at, PARALLEL = SAFE
);
CREATE AGGREGATE precision_at(label boolean, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_precision_at, PARALLEL = SAFE
);
CREATE AGGREGATE precision_at(label integer, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_precision_at, PARALLEL = SAFE
);
CREATE AGGREGATE precision_at(label boolean, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_precision_at, PARALLEL = SAFE
);
CREATE AGGREGATE precision_at(label integer, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_precision_at, PARALLEL = SAFE
);
CREATE AGGREGATE recall_at(label boolean, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_recall_at, PARALLEL = SAFE
);
CREATE AGGREGATE recall_at(label integer, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_recall_at, PARALLEL = SAFE
);
CREATE AGGREGATE recall_at(label boolean, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_recall_at, PARALLEL = SAFE
);
CREATE AGGREGATE recall_at(label integer, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_recall_at, PARALLEL = SAFE
);
CREATE AGGREGATE ndcg_at(label boolean, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ndcg_at, PARALLEL = SAFE
);
CREATE AGGREGATE ndcg_at(label integer, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ndcg_at, PARALLEL = SAFE
);
CREATE AGGREGATE psi(expected float8, actual float8) (
  SFUNC = behavpred_internal.metric_add_shift, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_psi, PARALLEL = SAFE
);
CREATE AGGREGATE psi(expected float8, actual float8, bins integer) (
  SFUNC = behavpred_internal.metric_add_shift, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_psi, PARALLEL = SAFE
);
CREATE AGGREGATE log_loss(label boolean, probability float8) (
  SFUNC = behavpred_internal.metric_add_log_loss, STYPE = float8[], INITCOND = '{0,0,0}',
  COMBINEFUNC = pg_catalog.float8_combine, FINALFUNC = pg_catalog.float8_avg, PARALLEL = SAFE
);
CREATE AGGREGATE log_loss(label integer, probability float8) (
  SFUNC = behavpred_internal.metric_add_log_loss, STYPE = float8[], INITCOND = '{0,0,0}',
  COMBINEFUNC = pg_catalog.float8_combine, FINALFUNC = pg_catalog.float8_avg, PARALLEL = SAFE
);
CREATE AGGREGATE brier(label boolean, probability float8) (
  SFUNC = behavpred_internal.metric_add_brier, STYPE = float8[], INITCOND = '{0,0,0}',
  COMBINEFUNC = pg_catalog.float8_combine, FINALFUNC = pg_catalog.float8_avg, PARALLEL = SAFE
);
CREATE AGGREGATE brier(label integer, probability float8) (
  SFUNC = behavpred_internal.metric_add_brier, STYPE = float8[], INITCOND = '{0,0,0}',
  COMBINEFUNC = pg_catalog.float8_combine, FINALFUNC = pg_catalog.float8_avg, PARALLEL = SAFE
);
COMMENT ON AGGREGATE auc(boolean, float8) IS
  'Area under the ROC curve: how often a positive has the higher score, a tie counting half; 0.5 is chance, 1 is perfect. NULL unless both classes occur. Rows with a NULL label or score are left out; a score that is NaN is an error';
COMMENT ON AGGREGATE auc(integer, float8) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE pr_auc(boolean, float8) IS
  'Average precision: the area under the precision-recall curve, as a sum over distinct scores; chance is the rate of positives. NULL without a positive';
COMMENT ON AGGREGATE pr_auc(integer, float8) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE ece(boolean, float8) IS
  'Expected calibration error: mean over bins of equal count, by rising probability, of |mean probability - rate of positives|. bins: 1 to 100000, default 10';
COMMENT ON AGGREGATE ece(integer, float8) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE ece(boolean, float8, integer) IS
  'Expected calibration error: mean over bins of equal count, by rising probability, of |mean probability - rate of positives|. bins: 1 to 100000, default 10';
COMMENT ON AGGREGATE ece(integer, float8, integer) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE lift_at(boolean, float8, float8) IS
  'Rate of positives among the best by score, over the rate in all; fraction (above 0, at most 1) of the rows, or the best k rows. A tie at the border is taken in proportion. NULL without a positive';
COMMENT ON AGGREGATE lift_at(integer, float8, float8) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE lift_at(boolean, float8, integer) IS
  'Rate of positives among the best by score, over the rate in all; fraction (above 0, at most 1) of the rows, or the best k rows. A tie at the border is taken in proportion. NULL without a positive';
COMMENT ON AGGREGATE lift_at(integer, float8, integer) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE precision_at(boolean, float8, float8) IS
  'Rate of positives among the best fraction (above 0, at most 1), or the best k rows (all when there are fewer), by score. A tie at the border is taken in proportion';
COMMENT ON AGGREGATE precision_at(integer, float8, float8) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE precision_at(boolean, float8, integer) IS
  'Rate of positives among the best fraction (above 0, at most 1), or the best k rows (all when there are fewer), by score. A tie at the border is taken in proportion';
COMMENT ON AGGREGATE precision_at(integer, float8, integer) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE recall_at(boolean, float8, float8) IS
  'Share of all positives that stand among the best fraction (above 0, at most 1), or the best k rows, by score. A tie at the border is taken in proportion. NULL without a positive';
COMMENT ON AGGREGATE recall_at(integer, float8, float8) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE recall_at(boolean, float8, integer) IS
  'Share of all positives that stand among the best fraction (above 0, at most 1), or the best k rows, by score. A tie at the border is taken in proportion. NULL without a positive';
COMMENT ON AGGREGATE recall_at(integer, float8, integer) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE ndcg_at(boolean, float8, integer) IS
  'Normalised discounted cumulative gain of the best k rows by score, gains 0 or 1, 0 to 1; rows with equal scores share their places. For rankings of users: GROUP BY user, then avg(). NULL without a positive';
COMMENT ON AGGREGATE ndcg_at(integer, float8, integer) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE psi(float8, float8) IS
  'Population stability index: how far the distribution of actual has moved from that of expected, over bins (1 to 100000, default 10) of equal share cut from expected; below 0.1 is little, above 0.25 much. Each value that is not NULL joins its sample, so the two may come from different rows. NULL when a sample is empty';
COMMENT ON AGGREGATE psi(float8, float8, integer) IS
  'Population stability index: how far the distribution of actual has moved from that of expected, over bins (1 to 100000, default 10) of equal share cut from expected; below 0.1 is little, above 0.25 much. Each value that is not NULL joins its sample, so the two may come from different rows. NULL when a sample is empty';
COMMENT ON AGGREGATE log_loss(boolean, float8) IS
  'Mean of -ln(probability of what happened), probabilities kept within 1e-15 of 0 and 1; smaller is better';
COMMENT ON AGGREGATE log_loss(integer, float8) IS
  'The same, labels 0 and 1';
COMMENT ON AGGREGATE brier(boolean, float8) IS
  'Mean squared difference of probability and what happened, 0 to 1; smaller is better';
COMMENT ON AGGREGATE brier(integer, float8) IS
  'The same, labels 0 and 1';
