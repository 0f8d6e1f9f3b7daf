-- The type of models, score(), dot() and cosine().
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;

SELECT behavpred.dot('{1,2,3}', '{4,5,6}'), behavpred.dot('{0.5}', '{0.5}');
SELECT round(behavpred.cosine('{1,0}', '{1,1}')::numeric, 6) AS cosine, behavpred.cosine('{2,2}', '{3,3}') AS parallel,
       behavpred.cosine('{1,2}', '{-1,-2}') AS opposite, behavpred.cosine('{0,0}', '{1,1}') AS no_direction;
SELECT behavpred.dot('{1,2,3}', '{4,5}');
SELECT behavpred.dot('{{1,2},{3,4}}', '{1,2,3,4}');
SELECT behavpred.dot('{1,NULL}', '{1,2}');
SELECT behavpred.dot('{}', '{}');
SELECT behavpred.dot(NULL, '{1}') IS NULL AS strict;

CREATE TABLE score_events AS
SELECT u AS user_id, o AS object_id FROM generate_series(1, 200) u, generate_series(1, 20) o
WHERE abs(hashint8extended(u * 1000 + o, 3)) % 100 < CASE WHEN (u % 2 = 0) = (o <= 10) THEN 50 ELSE 10 END;
SELECT users_found FROM behavpred.create_graph('score_graph', 'score_events');
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('score_graph', dimension => 8, factors => 2, epochs => 3);
SELECT behavpred.create_target('score_target', 'score_graph', object => '3');
SELECT version FROM behavpred.train_target('score_target', calibration => 'isotonic', options => '{"deploy": "never"}');
SELECT version FROM behavpred.train_target('score_target', model => 'mlp', hidden => '{4}', options => '{"deploy": "never"}');
SELECT version, deployed FROM behavpred.train_target('score_target');

-- text and binary round trips keep every bit
SELECT version, model::text::behavpred.model::text = model::text AS text_trip FROM behavpred.trained_model
WHERE target = 'score_target' ORDER BY version;
CREATE TABLE score_copy (model behavpred.model);
INSERT INTO score_copy SELECT model::text::behavpred.model FROM behavpred.trained_model WHERE target = 'score_target';
SELECT count(*) FROM score_copy c JOIN behavpred.trained_model m ON m.model::text = c.model::text
WHERE m.target = 'score_target';

-- score() is predict() by hand, for every kind of model in one scan
SELECT m.version, count(*) AS users, bool_and(behavpred.score(m.model, e.embedding) BETWEEN 0 AND 1) AS in_range,
       bool_and(behavpred.score(m.model, e.embedding) = behavpred.predict('score_target', e.user_id)) AS same_as_predict
FROM behavpred.trained_model m, score_graph_user_embedding e
WHERE m.target = 'score_target' GROUP BY m.version ORDER BY m.version;

-- what does not fit is refused
SELECT behavpred.score(model, '{1,2,3}') FROM behavpred.trained_model WHERE target = 'score_target' AND version = 3;
SELECT behavpred.score(model, '{1,2,3,4,5,6,7,8,9,NaN}') FROM behavpred.trained_model WHERE target = 'score_target' AND version = 3;
SELECT behavpred.score(model, '{1,2,3,4,5,6,7,8,Infinity,1}') FROM behavpred.trained_model WHERE target = 'score_target' AND version = 3;
SELECT behavpred.score(model, '{1,2,3,4,5,6,7,8,Infinity,1}') FROM behavpred.trained_model WHERE target = 'score_target' AND version = 2;
SELECT behavpred.score(model, '{1,2,3,4,5,6,7,8,NULL,1}') FROM behavpred.trained_model WHERE target = 'score_target' AND version = 3;
SELECT behavpred.score(model, NULL) IS NULL AS strict FROM behavpred.trained_model WHERE target = 'score_target' AND version = 3;
SELECT 'nonsense'::behavpred.model;
SELECT '\x'::behavpred.model;
SELECT '\x4250'::behavpred.model;
SELECT '\xzz'::behavpred.model;
SELECT '\x425'::behavpred.model;
SELECT ''::behavpred.model;
SELECT '\x00000000000000000000000000000000'::behavpred.model;
-- one changed byte anywhere is found, and so is a byte too few
CREATE FUNCTION score_survives(model text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM model::behavpred.model;
  RETURN 'accepted';
EXCEPTION WHEN data_corrupted THEN
  RETURN 'refused';
END $$;
SELECT score_survives(overlay(text PLACING (CASE substr(text, p, 1) WHEN '0' THEN '1' ELSE '0' END) FROM p)), count(*)
FROM (SELECT model::text AS text FROM behavpred.trained_model WHERE target = 'score_target' AND version = 3) AS m,
     generate_series(3, length(m.text)) AS p
GROUP BY 1;
SELECT score_survives(left(text, -2 * n)), count(*)
FROM (SELECT model::text AS text FROM behavpred.trained_model WHERE target = 'score_target' AND version = 3) AS m,
     generate_series(1, 30) AS n
GROUP BY 1;

-- parallel plans may use it
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT model FROM score_copy LIMIT 1 \gset
EXPLAIN (COSTS OFF) SELECT max(behavpred.score(:'model', embedding)) FROM score_graph_user_embedding;

DROP FUNCTION score_survives;
SELECT behavpred.drop_graph('score_graph');
DROP TABLE score_events, score_copy;
