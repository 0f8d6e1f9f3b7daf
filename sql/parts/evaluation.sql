-- ---------------------------------------------------------------------------
-- Evaluation: the scores of each model's test part, and what they tell
-- ---------------------------------------------------------------------------
CREATE TABLE held_out_score (
  target text NOT NULL,
  version int NOT NULL,
  owner name NOT NULL DEFAULT current_user,
  positives int NOT NULL,
  logits float8[] NOT NULL,
  interactions int[] NOT NULL,
  positive_weight float8 NOT NULL,
  negative_weight float8 NOT NULL,
  PRIMARY KEY (target, version),
  FOREIGN KEY (target, version) REFERENCES trained_model ON DELETE CASCADE
);
COMMENT ON TABLE held_out_score IS 'Test part of each model: logits and numbers of interactions, positives first, without keys; how many candidates a positive and a negative stand for';
GRANT SELECT, INSERT, UPDATE, DELETE ON held_out_score TO PUBLIC;
ALTER TABLE held_out_score ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON held_out_score USING (owner = current_user);
CREATE POLICY granted_rows ON held_out_score FOR SELECT USING (behavpred_internal.privilege_on_target(owner, target) >= 2);
CREATE POLICY granted_training ON held_out_score FOR INSERT
  WITH CHECK (behavpred_internal.privilege_on_target(owner, target) >= 3);
CREATE POLICY of_same_owner ON held_out_score AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM registered_target t
                      WHERE t.target = held_out_score.target AND t.owner = held_out_score.owner));
COMMENT ON POLICY own_rows ON held_out_score IS 'Every role sees and changes its own models';
COMMENT ON POLICY granted_rows ON held_out_score IS 'Test parts of others that the role may read';
COMMENT ON POLICY granted_training ON held_out_score IS 'Trainers write test parts for the owner';
COMMENT ON POLICY of_same_owner ON held_out_score IS 'Test parts are of the owner of their target';
SELECT pg_extension_config_dump('held_out_score', '');

CREATE FUNCTION evaluate(
  target text, labels regclass DEFAULT NULL, label_column name DEFAULT 'label',
  fractions float8[] DEFAULT '{0.01,0.05,0.1}', version int DEFAULT NULL,
  seed bigint DEFAULT NULL, threads int DEFAULT NULL)
RETURNS TABLE (metric text, at float8, value float8, low float8, high float8, n bigint, positives bigint,
               popularity float8, prior float8, basis text)
AS 'MODULE_PATHNAME', 'behavpred_evaluate' LANGUAGE C STABLE;
COMMENT ON FUNCTION evaluate(text, regclass, name, float8[], int, bigint, int) IS
  'Quality of a target''s model on users it was not trained on: auc, pr_auc, log_loss, brier, ece, and for each of fractions (above 0, at most 1) the lift of the best by probability and the gain, their share of all positives. Users: the test part of the deployed version''s training, or of another version, weighted to the candidates (basis unseen or in_graph, as train_target() says); or those of labels, a relation with the graph''s user column and a label (boolean, or 0 and 1), at most 1,000,000. low and high: 95 % interval, given the size of both classes: DeLong for auc, variance of the mean for log_loss and brier, seeded bootstrap of 200 draws for the others. popularity: the same of users ranked by their number of interactions; prior: of the base rate as everybody''s probability. NULL: the data cannot tell';

CREATE FUNCTION roc_curve(target text, points int DEFAULT 100, version int DEFAULT NULL)
RETURNS TABLE (threshold float8, fraction float8, false_positive_rate float8, true_positive_rate float8)
AS 'MODULE_PATHNAME', 'behavpred_roc_curve' LANGUAGE C STABLE;
COMMENT ON FUNCTION roc_curve(text, int, int) IS
  'ROC curve of a target''s model on the test part of its training: taking users from a probability (threshold) on takes this fraction of the candidates, and these rates of the negatives and positives. points: about how many, 1 to 100000; version: default the deployed one';

CREATE FUNCTION calibration_curve(target text, bins int DEFAULT 10, version int DEFAULT NULL)
RETURNS TABLE (bin int, n bigint, positives bigint, probability float8, rate float8, low float8, high float8)
AS 'MODULE_PATHNAME', 'behavpred_calibration_curve' LANGUAGE C STABLE;
COMMENT ON FUNCTION calibration_curve(text, int, int) IS
  'Reliability curve of a target''s model on the test part of its training, by rising probability: users and positives in each bin, their mean probability and rate of positives among the candidates, with its 95 % interval. bins of equal weight, 1 to 100000; version: default the deployed one';

CREATE FUNCTION audience_curve(
  target text, fractions float8[] DEFAULT '{0.001,0.002,0.005,0.01,0.02,0.05,0.1,0.2,0.5,1}',
  exclude_known boolean DEFAULT true, candidates regclass DEFAULT NULL, threads int DEFAULT NULL)
RETURNS TABLE (size bigint, fraction float8, threshold float8, expected_positives float8, positives_low float8,
               positives_high float8, "precision" float8, recall float8, lift float8, lift_low float8, lift_high float8)
AS 'MODULE_PATHNAME', 'behavpred_audience_curve' LANGUAGE C STABLE;
COMMENT ON FUNCTION audience_curve(text, float8[], boolean, regclass, int) IS
  'What audiences of each size would bring, the best of fractions (above 0, at most 1) of those that audience() chooses from: probability of the last user (threshold); expected positives, the sum of the probabilities, and their 95 % interval by how many positives the test part of the training had for each that was expected; precision = expected positives over size; recall = over all expected; lift = precision over the base rate';
