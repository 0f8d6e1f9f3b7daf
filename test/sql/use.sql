-- Use: predict, audience, audience_into, recommend, embedding, against the same in plain SQL.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
SET client_min_messages = error;  -- what trainings say of their quality is tested elsewhere
CREATE SCHEMA use_test;
SET search_path = use_test, public;

-- 400 users, 40 objects: the even users like objects 1 to 20, the odd 21 to 40.
CREATE TABLE events AS
SELECT u AS user_id, o AS object_id
FROM generate_series(1, 400) u, generate_series(1, 40) o
WHERE abs(hashint8extended(u * 1000 + o, 5)) % 100 < CASE WHEN (u % 2 = 0) = (o <= 20) THEN 40 ELSE 5 END;
CREATE TABLE seeds AS SELECT u AS user_id FROM generate_series(2, 100, 2) u;
CREATE TABLE half AS SELECT u AS user_id FROM generate_series(1, 200) u;
SELECT users_found, objects_found FROM behavpred.create_graph('use_graph', 'events');
SELECT behavpred.create_target('use_target', 'use_graph', object => '5');
SELECT behavpred.create_target('use_seeds', 'use_graph', seeds => 'seeds', candidates => 'half');

-- Before there is anything to use.
SELECT behavpred.embedding('use_graph', 1);
SELECT * FROM behavpred.recommend('use_graph', 1);
SELECT epochs_run FROM behavpred.train_graph('use_graph', dimension => 8, factors => 2, epochs => 3);
SELECT behavpred.predict('use_target', 1);
SELECT * FROM behavpred.audience('use_target');
SELECT version, deployed FROM behavpred.train_target('use_target');

-- embedding: the stored vectors.
SELECT bool_and(behavpred.embedding('use_graph', user_id) = embedding) AS same,
       bool_and(behavpred.embedding('use_graph', user_id::text) = embedding) AS same_by_text
FROM use_graph_user_embedding;
SELECT bool_and(behavpred.object_embedding('use_graph', object_id) = embedding) AS same,
       bool_and(behavpred.object_embedding('use_graph', object_id::text) = embedding) AS same_by_text
FROM use_graph_object_embedding;
SELECT behavpred.embedding('use_graph', 401) IS NULL AS no_user, behavpred.object_embedding('use_graph', '41') IS NULL AS no_object,
       behavpred.embedding(NULL, 1) IS NULL AS no_graph_given;

-- predict: score() of the deployed model and the stored vector; an unknown user is NULL.
SELECT count(*) AS users, bool_and(behavpred.predict('use_target', user_id) = behavpred.score(model, embedding)) AS same,
       bool_and(behavpred.predict('use_target', user_id::text) = behavpred.score(model, embedding)) AS same_by_text,
       bool_and(behavpred.predict('use_target', user_id::bigint) = behavpred.score(model, embedding)) AS same_by_bigint
FROM use_graph_user_embedding, behavpred.trained_model WHERE target = 'use_target';
SELECT behavpred.predict('use_target', 401) IS NULL AS unknown, behavpred.predict('use_target', '401') IS NULL AS unknown_text,
       behavpred.predict('use_target', NULL::int) IS NULL AS no_user_given, behavpred.predict(NULL, 1) IS NULL AS no_target_given;
SELECT behavpred.predict('use_target', 'twelve');
SELECT behavpred.predict('use_target', 3000000000);
SELECT behavpred.predict('use_target', '2026-01-01'::date);
SELECT behavpred.predict('no_such_target', 1);
SELECT behavpred.predict('use_seeds', 1);

-- What a training deploys is seen by the next statement, of the same transaction, too.
CREATE TABLE before_deploy AS SELECT behavpred.predict('use_target', 7) AS probability;
BEGIN;
SELECT version, deployed FROM behavpred.train_target('use_target', seed => 2, soft_weight => 0, options => '{"deploy": "always"}');
SELECT behavpred.predict('use_target', 7) <> probability AS changed FROM before_deploy;
ROLLBACK;
SELECT behavpred.predict('use_target', 7) = probability AS back FROM before_deploy;
PREPARE predict_7 AS SELECT behavpred.predict('use_target', 7) = probability AS as_before FROM before_deploy;
EXECUTE predict_7;
SELECT version, deployed FROM behavpred.train_target('use_target', seed => 2, soft_weight => 0, options => '{"deploy": "always"}');
EXECUTE predict_7;
-- Within one statement as well, when it trains.
CREATE FUNCTION predict_around_training() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  probabilities float8[];
BEGIN
  FOR i IN 1 .. 2 LOOP  -- both predictions by one expression
    probabilities := probabilities || behavpred.predict('use_target', 7);
    PERFORM behavpred.train_target('use_target', seed => 3, soft_weight => 1, options => '{"deploy": "always"}');
  END LOOP;
  RETURN probabilities[1] <> probabilities[2];
END $$;
SELECT predict_around_training() AS changed;
-- Two targets in one scan keep apart.
SELECT behavpred.create_target('use_other', 'use_graph', object => '30');
SELECT version FROM behavpred.train_target('use_other');
SELECT avg(p) FILTER (WHERE even AND target = 'use_target') > 2 * avg(p) FILTER (WHERE NOT even AND target = 'use_target') AS first,
       avg(p) FILTER (WHERE NOT even AND target = 'use_other') > 2 * avg(p) FILTER (WHERE even AND target = 'use_other') AS second
FROM (SELECT target, u % 2 = 0 AS even, behavpred.predict(target, u) AS p
      FROM generate_series(1, 400) u, (VALUES ('use_target'), ('use_other')) AS t (target)) AS predicted;
-- More targets than a session keeps decoded, while a cursor holds one of them.
SET max_parallel_workers_per_gather = 0;
SELECT count(*) AS trained FROM generate_series(10, 21) o,
  LATERAL (SELECT behavpred.create_target('use_many_' || o, 'use_graph', object => o::text)) AS c,
  LATERAL behavpred.train_target('use_many_' || o, options => '{"deploy": "always"}') AS t;
RESET max_parallel_workers_per_gather;
CREATE TABLE by_hand AS
SELECT t.target, e.user_id, behavpred.score(m.model, e.embedding) AS probability
FROM behavpred.targets t JOIN behavpred.trained_model m ON m.target = t.target AND m.version = t.deployed_version,
     use_graph_user_embedding e
WHERE t.target LIKE 'use_many_%' OR t.target = 'use_target';
BEGIN;
DECLARE held CURSOR FOR
SELECT behavpred.predict('use_target', u) = (SELECT probability FROM by_hand WHERE target = 'use_target' AND user_id = u) AS held
FROM generate_series(7, 8) u;
FETCH 1 FROM held;
SELECT count(*) AS predictions, count(*) FILTER (WHERE behavpred.predict(target, user_id) <> probability) AS differ FROM by_hand;
FETCH 1 FROM held;
SAVEPOINT before_error;
SELECT behavpred.predict('use_target', CASE u WHEN 7 THEN '7' ELSE 'seven' END) FROM generate_series(7, 8) u;
ROLLBACK TO before_error;
COMMIT;
SELECT count(*) AS predictions, count(*) FILTER (WHERE behavpred.predict(target, user_id) <> probability) AS differ FROM by_hand;
SELECT count(*) <= 8 AS few_are_kept FROM pg_backend_memory_contexts WHERE name = 'behavpred decoded model';
SELECT count(behavpred.drop_target(target)) AS dropped FROM behavpred.targets WHERE target LIKE 'use_many_%';
-- Parallel plans may use it.
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
CREATE TABLE parallel_result AS
SELECT user_id, behavpred.predict('use_target', user_id) AS probability FROM use_graph_user_embedding;
EXPLAIN (COSTS OFF) SELECT user_id, behavpred.predict('use_target', user_id) AS probability FROM use_graph_user_embedding;
SET max_parallel_workers_per_gather = 0;
SELECT count(*) FROM parallel_result WHERE probability <> behavpred.predict('use_target', user_id);
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;

-- audience: what plain SQL finds. `others` are those who have not done it.
CREATE VIEW everybody AS
SELECT user_id, behavpred.predict('use_target', user_id) AS probability,
       user_id IN (SELECT user_id FROM events WHERE object_id = 5) AS known
FROM use_graph_user_embedding;
CREATE VIEW others AS
SELECT row_number() OVER (ORDER BY probability DESC, user_id) AS rank, user_id, probability FROM everybody WHERE NOT known;
CREATE FUNCTION check_audience(arguments text, wanted text DEFAULT 'others', OUT users bigint, OUT same boolean)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('WITH got AS (SELECT rank, user_key::int AS user_id, probability FROM behavpred.audience(%s)),
      wanted AS (SELECT rank, user_id, probability FROM %s)
    SELECT (SELECT count(*) FROM got),
           NOT EXISTS (TABLE got EXCEPT TABLE wanted) AND NOT EXISTS (TABLE wanted EXCEPT TABLE got)', arguments, wanted)
    INTO users, same;
END $$;
SELECT count(*) AS others, count(*) < 400 AS some_left_out FROM others;
SELECT 'size' AS condition, * FROM check_audience($$'use_target', 10$$, 'others WHERE rank <= 10');
SELECT 'default', same FROM check_audience($$'use_target'$$);
SELECT 'more than there are', same FROM check_audience($$'use_target', size => 9223372036854775807$$);
SELECT 'fraction', * FROM check_audience($$'use_target', fraction => 0.1$$,
  'others WHERE rank <= (SELECT round(0.1 * count(*)) FROM others)');
SELECT 'all', same FROM check_audience($$'use_target', fraction => 1$$);
SELECT 'at least one', * FROM check_audience($$'use_target', fraction => 1e-9$$, 'others WHERE rank = 1');
SELECT probability AS middle FROM others WHERE rank = 50 \gset
SELECT 'min_probability', * FROM check_audience(format($$'use_target', min_probability => %L$$, :middle), 'others WHERE rank <= 50');
SELECT 'none', * FROM check_audience($$'use_target', min_probability => 1$$, 'others WHERE false');
SELECT lift AS middle FROM behavpred.audience('use_target', size => 30) WHERE rank = 30 \gset
SELECT 'min_lift', users BETWEEN 30 AND 31 AS users FROM check_audience(format($$'use_target', min_lift => %L$$, :middle));
SELECT 'all conditions', * FROM check_audience(format($$'use_target', size => 40, fraction => 0.1, min_probability => 0.0001, min_lift => %L$$, :middle),
  'others WHERE rank <= 30');
SELECT 'known, too', same FROM check_audience($$'use_target', exclude_known => false$$,
  '(SELECT row_number() OVER (ORDER BY probability DESC, user_id) AS rank, * FROM everybody) AS e');
SELECT 'threads', same FROM check_audience($$'use_target', 10, threads => 2$$, 'others WHERE rank <= 10');
CREATE VIEW chosen AS SELECT user_id FROM events WHERE user_id BETWEEN 100 AND 200;
SELECT 'candidates', same FROM check_audience($$'use_target', candidates => 'chosen'$$,
  '(SELECT row_number() OVER (ORDER BY probability DESC, user_id) AS rank, user_id, probability
    FROM others WHERE user_id BETWEEN 100 AND 200) AS o');
SELECT 'fraction of candidates', same FROM check_audience($$'use_target', fraction => 0.5, candidates => 'chosen'$$,
  '(SELECT row_number() OVER (ORDER BY probability DESC, user_id) AS rank, user_id, probability
    FROM others WHERE user_id BETWEEN 100 AND 200 ORDER BY 1
    LIMIT (SELECT round(0.5 * count(*)) FROM others WHERE user_id BETWEEN 100 AND 200)) AS o');
-- Lift is the probability over the same base rate for all.
SELECT count(DISTINCT round((probability / lift)::numeric, 9)) AS base_rates, min(probability / lift) BETWEEN 0.1 AND 0.4 AS plausible
FROM behavpred.audience('use_target');
-- Most of the best are of the group that likes the object.
SELECT avg((user_key::int % 2 = 0)::int) > 0.8 AS mostly_even FROM behavpred.audience('use_target', 50);
-- Equal scores are ordered by key: a vector that all share.
BEGIN;
UPDATE use_graph_user_embedding SET embedding = (SELECT embedding FROM use_graph_user_embedding WHERE user_id = 1);
SELECT string_agg(user_key, ' ' ORDER BY rank) AS by_key, count(DISTINCT probability) AS probabilities
FROM behavpred.audience('use_target', 12, exclude_known => false);
ROLLBACK;
-- On the steps of an isotonic calibration probabilities tie, users do not.
BEGIN;
SELECT deployed FROM behavpred.train_target('use_target', calibration => 'isotonic', options => '{"deploy": "always"}');
SELECT count(DISTINCT probability) < count(*) AS ties, bool_and(probability <= previous) AS best_first,
       bool_and(same) AS as_predicted
FROM (SELECT a.probability, lag(a.probability, 1, 1.0::float8) OVER (ORDER BY rank) AS previous,
             a.probability = behavpred.predict('use_target', user_key) AS same
      FROM behavpred.audience('use_target') a) AS a;
ROLLBACK;
-- A target's own candidates, less its seeds.
SELECT deployed FROM behavpred.train_target('use_seeds');
SELECT count(*) AS users, max(user_key::int) <= 200 AS candidates_only,
       count(*) FILTER (WHERE user_key::int IN (SELECT user_id FROM seeds)) AS seeds
FROM behavpred.audience('use_seeds');
SELECT count(*) AS users, count(*) FILTER (WHERE user_key::int IN (SELECT user_id FROM seeds)) AS seeds
FROM behavpred.audience('use_seeds', exclude_known => false);
SELECT behavpred.predict('use_seeds', 399) BETWEEN 0 AND 1 AS others_have_one_too;

-- Arguments out of their range.
SELECT * FROM behavpred.audience('use_target', size => 0);
SELECT * FROM behavpred.audience('use_target', fraction => 0);
SELECT * FROM behavpred.audience('use_target', fraction => 1.5);
SELECT * FROM behavpred.audience('use_target', fraction => 'NaN');
SELECT * FROM behavpred.audience('use_target', min_probability => -0.1);
SELECT * FROM behavpred.audience('use_target', min_probability => 1.1);
SELECT * FROM behavpred.audience('use_target', min_lift => -1);
SELECT * FROM behavpred.audience('use_target', threads => 0);
SELECT * FROM behavpred.audience(NULL);
SELECT * FROM behavpred.audience('no_such_target');
CREATE TABLE no_users (a int, b int);
CREATE TABLE other_keys (user_id uuid);
CREATE SEQUENCE no_rows;
SELECT * FROM behavpred.audience('use_target', candidates => 'no_users');
SELECT * FROM behavpred.audience('use_target', candidates => 'other_keys');
SELECT * FROM behavpred.audience('use_target', candidates => 'no_rows');
SELECT * FROM behavpred.audience('use_target', candidates => 'no_users', size => -5);
-- Candidates whom the graph does not know: nobody, and said so; of many only those it knows.
CREATE TABLE nobody_known AS SELECT u AS user_id FROM generate_series(50001, 50100) u;
SET client_min_messages = warning;
SELECT count(*) FROM behavpred.audience('use_target', candidates => 'nobody_known');
SELECT count(*) FROM behavpred.audiences('{use_target}', candidates => 'nobody_known');
SELECT count(*) FROM behavpred.audience_curve('use_target', candidates => 'nobody_known');
SET client_min_messages = error;
INSERT INTO nobody_known VALUES (1), (2), (3);
SELECT count(*) FROM behavpred.audience('use_target', size => 1000, candidates => 'nobody_known', exclude_known => false);
-- Vectors that were spoilt by hand.
BEGIN;
UPDATE use_graph_user_embedding SET embedding[2] = 'NaN' WHERE user_id = 9;
SELECT count(*) FROM behavpred.audience('use_target');
ROLLBACK;
BEGIN;
UPDATE use_graph_user_embedding SET embedding = '{1,2}' WHERE user_id = 9;
SELECT count(*) FROM behavpred.audience('use_target');
ROLLBACK;
BEGIN;
UPDATE use_graph_object_embedding SET embedding = '{1,2}' WHERE object_id = 9;
SELECT count(*) FROM behavpred.recommend('use_graph', 1, exclude_seen => false);
ROLLBACK;
BEGIN;
UPDATE use_graph_object_embedding SET embedding[2] = 'NaN' WHERE object_id = 9;
SELECT count(*) FROM behavpred.recommend('use_graph', 1, exclude_seen => false);
ROLLBACK;

-- audience_into: a table of the caller's.
SELECT behavpred.audience_into('use_target', 'campaign', size => 20);
\d campaign
SELECT obj_description('campaign'::regclass) AS comment;
SELECT count(*) AS differ FROM campaign c FULL JOIN behavpred.audience('use_target', 20) a
  ON a.rank = c.rank AND a.user_key = c.user_id::text AND a.probability = c.probability AND a.lift = c.lift
WHERE a.rank IS NULL OR c.rank IS NULL;
SELECT behavpred.audience_into('use_target', 'campaign', size => 20);
SELECT behavpred.audience_into('use_target', 'use_test."Summer; ""sale"', 3, exclude_known => false, candidates => 'half', threads => 1);
SELECT count(*), max(user_id) <= 200 AS candidates_only FROM "Summer; ""sale";
SELECT behavpred.audience_into('use_target', 'nobody', min_probability => 1);
SELECT count(*) FROM nobody;
SELECT behavpred.audience_into('use_target', 'pg_temp.passing', 5);
SELECT relpersistence FROM pg_class WHERE oid = 'pg_temp.passing'::regclass;
SELECT behavpred.audience_into('use_target', 'x; DROP TABLE campaign', 5);
BEGIN READ ONLY;
SELECT behavpred.audience_into('use_target', 'reading', 5);
ROLLBACK;
SELECT behavpred.audience_into('use_target', 'no_such_schema.campaign', 5);
SELECT behavpred.audience_into('use_target', 'my list', 5);
SELECT behavpred.audience_into('use_target', '', 5);
SELECT behavpred.audience_into('use_target', NULL, 5);
SELECT behavpred.audience_into('use_target', 'late', fraction => 2);
SET search_path = no_such_schema;
SELECT behavpred.audience_into('use_target', 'nowhere', 5);
SET search_path = use_test, public;
SELECT to_regclass('late') IS NULL AS nothing_was_made;
-- Many rows, and a name that is taken by a column.
CREATE VIEW ranked AS SELECT user_id + 400 * n AS rank, object_id FROM events, generate_series(0, 29) n;
SELECT users_found FROM behavpred.create_graph('use_many', 'ranked', user_column => 'rank');
SELECT epochs_run FROM behavpred.train_graph('use_many', dimension => 2, factors => 1, layers => 1, epochs => 0);
SELECT behavpred.create_target('use_many', 'use_many', object => '5');
SELECT deployed FROM behavpred.train_target('use_many');
SELECT behavpred.audience_into('use_many', 'ranks');
ALTER VIEW ranked RENAME rank TO user_id;
SELECT behavpred.drop_graph('use_many');
SELECT users_found FROM behavpred.create_graph('use_many', 'ranked');
SELECT epochs_run FROM behavpred.train_graph('use_many', dimension => 2, factors => 1, layers => 1, epochs => 0);
SELECT behavpred.create_target('use_many', 'use_many', object => '5');
SELECT deployed FROM behavpred.train_target('use_many');
SELECT behavpred.audience_into('use_many', 'ranks', size => 20000, exclude_known => false);
SELECT count(*), min(rank), max(rank), count(DISTINCT rank) AS ranks FROM ranks;
-- So many that the list is cut on the way; the first by key come last.
CREATE TABLE best AS SELECT embedding FROM use_many_user_embedding JOIN ranks USING (user_id) WHERE rank = 1;
INSERT INTO use_many_user_embedding SELECT -g, embedding, 1 FROM best, generate_series(1, 150000) g;
SELECT string_agg(user_key, ' ' ORDER BY rank) AS users, count(DISTINCT probability) AS probabilities
FROM behavpred.audience('use_many', size => 6, exclude_known => false);
SELECT behavpred.drop_graph('use_many');
CREATE VIEW texts AS SELECT 'user ' || user_id AS user_id, object_id FROM events;
SELECT users_found FROM behavpred.create_graph('use_text', 'texts');
SELECT epochs_run FROM behavpred.train_graph('use_text', dimension => 2, factors => 1, layers => 1, epochs => 0);
SELECT behavpred.create_target('use_text', 'use_text', object => '5');
SELECT deployed FROM behavpred.train_target('use_text');
TRUNCATE best;
INSERT INTO best SELECT behavpred.embedding('use_text', user_key) FROM behavpred.audience('use_text', size => 1, exclude_known => false);
INSERT INTO use_text_user_embedding SELECT 'a' || 1000000 - g, embedding, 1 FROM best, generate_series(1, 150000) g;
SELECT string_agg(user_key, ' ' ORDER BY rank) AS users, count(DISTINCT probability) AS probabilities
FROM behavpred.audience('use_text', size => 6, exclude_known => false);
SELECT count(*), count(DISTINCT user_key) AS users, min(user_key) AS first
FROM behavpred.audience('use_text', size => 100000, exclude_known => false);
SELECT behavpred.drop_graph('use_text');

-- recommend: what plain SQL finds.
CREATE VIEW scores AS
SELECT u.user_id, o.object_id, behavpred.dot(u.embedding, o.embedding) AS score, e.user_id IS NOT NULL AS seen
FROM use_graph_user_embedding u CROSS JOIN use_graph_object_embedding o LEFT JOIN events e USING (user_id, object_id);
CREATE VIEW unseen_ranks AS
SELECT user_id, row_number() OVER (PARTITION BY user_id ORDER BY score DESC, object_id) AS rank, object_id, score
FROM scores WHERE NOT seen;
SELECT count(*) AS rows, count(*) FILTER (WHERE w.rank IS NULL) AS differ
FROM generate_series(1, 10) u CROSS JOIN LATERAL behavpred.recommend('use_graph', u, 7) r
LEFT JOIN unseen_ranks w ON w.user_id = u AND w.rank = r.rank AND w.object_id::text = r.object_key AND w.score = r.score;
SELECT count(*) = 10 AS ten FROM behavpred.recommend('use_graph', 1);
SELECT count(*) AS all_objects FROM behavpred.recommend('use_graph', 1, 100000, exclude_seen => false);
SELECT count(*) = (SELECT count(*) FROM scores WHERE user_id = 1 AND NOT seen) AS all_unseen FROM behavpred.recommend('use_graph', 1, 100000);
SELECT count(*) AS differ FROM behavpred.recommend('use_graph', 1) a FULL JOIN behavpred.recommend('use_graph', '1') b USING (rank, object_key)
WHERE a.score IS NULL OR b.score IS NULL;
SELECT count(*) AS of_an_unknown_user FROM behavpred.recommend('use_graph', 401);
SELECT count(*) AS of_no_user FROM behavpred.recommend('use_graph', NULL::int);
SELECT * FROM behavpred.recommend('use_graph', 1, 0);
SELECT * FROM behavpred.recommend('use_graph', 1, 100001);
SELECT * FROM behavpred.recommend('no_such_graph', 1);
SELECT * FROM behavpred.recommend('use_graph', 'one');
SELECT behavpred.embedding('use_graph', 'one');
SELECT behavpred.object_embedding('no_such_graph', 1);

-- A role sees its own targets only, and uses them with its own privileges.
CREATE ROLE regress_behavpred_use;
GRANT USAGE ON SCHEMA use_test TO regress_behavpred_use;
GRANT CREATE ON SCHEMA use_test TO regress_behavpred_use;
GRANT SELECT ON events TO regress_behavpred_use;
SELECT behavpred.predict('use_target', 1) IS NOT NULL AS planned_before;
SET ROLE regress_behavpred_use;
\set VERBOSITY terse
SELECT behavpred.predict('use_target', 1);
SELECT * FROM behavpred.audience('use_target');
SELECT * FROM behavpred.recommend('use_graph', 1);
SELECT behavpred.audience_into('use_target', 'of_another');
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA behavpred TO regress_behavpred_use;
SET ROLE regress_behavpred_use;
SELECT users_found FROM behavpred.create_graph('use_own', 'events');
SELECT epochs_run FROM behavpred.train_graph('use_own', dimension => 4, factors => 1, epochs => 1);
SELECT behavpred.create_target('use_own', 'use_own', object => '5');
SELECT deployed FROM behavpred.train_target('use_own');
SELECT behavpred.predict('use_own', 1) BETWEEN 0 AND 1 AS predicts, count(*) AS recommended
FROM behavpred.recommend('use_own', 1, 4);
SELECT behavpred.audience_into('use_own', 'of_my_own', 4);
SELECT relowner::regrole FROM pg_class WHERE oid = 'of_my_own'::regclass;
RESET ROLE;
-- A superuser reads no source for another: it might be a view that runs anything.
SELECT behavpred.predict('use_own', 1) BETWEEN 0 AND 1 AS predicts;
SELECT * FROM behavpred.audience('use_own');
SELECT * FROM behavpred.recommend('use_own', 1);
SELECT count(*) FROM behavpred.recommend('use_own', 1, 4, exclude_seen => false);
-- Nor does it read vectors through a view that stands in their place, or through a cast.
SET ROLE regress_behavpred_use;
CREATE FUNCTION runs_as_caller(real[]) RETURNS real[] LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'run as %', current_user; END $$;
ALTER TABLE use_own_user_embedding RENAME TO use_own_users;
CREATE VIEW use_own_user_embedding AS SELECT user_id, runs_as_caller(embedding) AS embedding, degree FROM use_own_users;
RESET ROLE;
SELECT behavpred.predict('use_own', 1);
SELECT behavpred.embedding('use_own', 1);
SET ROLE regress_behavpred_use;
DROP VIEW use_own_user_embedding;
ALTER TABLE use_own_users RENAME TO use_own_user_embedding;
ALTER TABLE use_own_user_embedding ALTER embedding TYPE text;
SELECT behavpred.predict('use_own', 1);
SELECT behavpred.embedding('use_own', 1);
ALTER TABLE use_own_user_embedding ALTER embedding TYPE real[] USING embedding::real[];
SELECT behavpred.predict('use_own', 1) BETWEEN 0 AND 1 AS predicts_again;
RESET ROLE;
-- Vectors that the caller may not read.
REVOKE ALL ON use_own_user_embedding, use_own_object_embedding FROM regress_behavpred_use;
SET ROLE regress_behavpred_use;
SELECT behavpred.predict('use_own', 1);
SELECT * FROM behavpred.audience('use_own');
SELECT behavpred.embedding('use_own', 1);
GRANT ALL ON use_own_user_embedding, use_own_object_embedding TO regress_behavpred_use;
SELECT behavpred.drop_graph('use_own');
DROP TABLE of_my_own;
DROP FUNCTION runs_as_caller;
RESET ROLE;
\set VERBOSITY default
DROP OWNED BY regress_behavpred_use;
DROP ROLE regress_behavpred_use;

-- Keys of every type.
CREATE FUNCTION check_keys(type text, key text, OUT users bigint, OUT predicted boolean, OUT in_order boolean, OUT in_table text, OUT recommended boolean)
LANGUAGE plpgsql SET max_parallel_workers_per_gather = 0 AS $$
BEGIN
  EXECUTE format('CREATE TABLE typed AS SELECT (%1$s)::%2$s AS user_id, object_id::text::varchar AS object_id
                  FROM (SELECT user_id AS u, object_id FROM events) AS e', key, type);
  PERFORM behavpred.create_graph('use_typed', 'typed');
  PERFORM behavpred.train_graph('use_typed', dimension => 4, factors => 1, epochs => 1);
  PERFORM behavpred.create_target('use_typed', 'use_typed', object => '5');
  PERFORM behavpred.train_target('use_typed', options => '{"deploy": "always"}');
  SELECT count(*), bool_and(behavpred.predict('use_typed', e.user_id) = a.probability
                            AND behavpred.predict('use_typed', a.user_key) = a.probability
                            AND (a.rank > 20 OR behavpred.embedding('use_typed', e.user_id) = e.embedding))
    INTO users, predicted
    FROM behavpred.audience('use_typed', size => 40, exclude_known => false) a JOIN use_typed_user_embedding e ON e.user_id::text = a.user_key;
  SELECT bool_and(rank = place) INTO in_order
    FROM (SELECT rank, row_number() OVER (ORDER BY probability DESC, rank) AS place
          FROM behavpred.audience('use_typed', exclude_known => false)) AS a;
  PERFORM behavpred.audience_into('use_typed', 'typed_audience', 10);
  SELECT format_type(atttypid, atttypmod) INTO in_table FROM pg_attribute
    WHERE attrelid = 'typed_audience'::regclass AND attname = 'user_id';
  SELECT count(*) = 5 AND count(*) FILTER (WHERE (e.user_id, r.object_key::varchar) IN (SELECT user_id, object_id FROM typed)) = 0
    INTO recommended
    FROM (SELECT user_id FROM typed LIMIT 1) AS e, LATERAL behavpred.recommend('use_typed', e.user_id, 5) r;
  PERFORM behavpred.drop_graph('use_typed');
  DROP TABLE typed, typed_audience;
END $$;
SELECT t.type, c.* FROM (VALUES
  ('smallint', 'u'), ('integer', '-u'), ('bigint', 'u * 10000000000'), ('text', $$'user ' || u || ' of "x"'$$),
  ('varchar(40)', $$repeat('long ', u % 7) || u$$), ('uuid', 'md5(u::text)')) AS t (type, key), check_keys(t.type, t.key) AS c;

-- The embeddings are of another training, or gone.
SELECT epochs_run FROM behavpred.train_graph('use_graph', dimension => 8, factors => 2, epochs => 1, seed => 9);
\set VERBOSITY terse
SELECT behavpred.predict('use_target', 1);
SELECT * FROM behavpred.audience('use_target');
SELECT behavpred.audience_into('use_target', 'stale');
\set VERBOSITY default
DROP VIEW scores, unseen_ranks, everybody, others;
SELECT deployed FROM behavpred.train_target('use_target', options => '{"deploy": "always"}');
DROP TABLE use_graph_user_embedding;
SELECT behavpred.predict('use_target', 1);
SELECT * FROM behavpred.audience('use_target');
SELECT * FROM behavpred.recommend('use_graph', 1);
SELECT behavpred.embedding('use_graph', 1);
SELECT behavpred.drop_graph('use_graph');
DROP SCHEMA use_test CASCADE;
