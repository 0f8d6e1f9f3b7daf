-- Key columns that change their type after the graph was made are refused, not misread.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;

CREATE TABLE altered_events AS
SELECT u::text AS user_id, o::text AS object_id FROM generate_series(1, 100) u, generate_series(1, 20) o
WHERE abs(hashint8extended(u * 1000 + o, 3)) % 100 < CASE WHEN (u % 2 = 0) = (o <= 10) THEN 60 ELSE 10 END;
SELECT users_found FROM behavpred.create_graph('altered_graph', 'altered_events');
SELECT behavpred.create_target('altered_target', 'altered_graph', object => '3');
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('altered_graph', dimension => 8, factors => 2, epochs => 2);
SELECT deployed FROM behavpred.train_target('altered_target');
SELECT count(*) FROM behavpred.recommend('altered_graph', '7', 3);

ALTER TABLE altered_events ALTER user_id TYPE int USING user_id::int, ALTER object_id TYPE int USING object_id::int;
SELECT count(*) FROM behavpred.recommend('altered_graph', '7', 3);
SELECT count(*) FROM behavpred.recommend('altered_graph', '7', 3, exclude_seen => false);
SELECT count(*) FROM behavpred.audience('altered_target', size => 5);
SELECT deployed FROM behavpred.train_target('altered_target');
SELECT epochs_run FROM behavpred.train_graph('altered_graph');
SELECT behavpred.create_target('altered_other', 'altered_graph', object => '3');
SELECT behavpred.predict('altered_target', '7') BETWEEN 0 AND 1 AS predicts;

SELECT behavpred.drop_graph('altered_graph');
DROP TABLE altered_events;
