-- scale.sql: :users users with vectors of a trained graph, each moved a little, a target, and
-- functions that scatter vectors and samples over servers and compare answers.
\set QUIET on
\o /dev/null
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
CREATE EXTENSION postgres_fdw;
SELECT FROM behavpred.demo_data('demo', users => 2000, objects => 150);
SELECT FROM behavpred.create_graph('demo', 'demo.events', behavior_column => 'kind', behaviors => '{click,purchase}');
SELECT behavpred.create_target('buys', 'demo',
	object => (SELECT object_id::text FROM demo.events WHERE kind = 'purchase' GROUP BY object_id ORDER BY count(*) DESC, object_id LIMIT 1));
SELECT FROM behavpred.train_graph('demo', epochs => 2);
SELECT FROM behavpred.train_target('buys', options => '{"deploy": "always"}');
CREATE TABLE the_model AS SELECT model FROM behavpred.trained_model WHERE target = 'buys';

CREATE TABLE known AS SELECT row_number() OVER (ORDER BY user_id) - 1 AS number, embedding FROM demo_user_embedding;
CREATE TABLE everybody (user_id bigint, embedding real[], degree int);
INSERT INTO everybody
SELECT u, (SELECT array_agg((x + CASE WHEN d < 65 THEN (hashint8extended(u * 100 + d, 5) % 1000) / 4000.0 ELSE 0 END)::real ORDER BY d)
	FROM unnest(k.embedding) WITH ORDINALITY AS e (x, d)), 10
FROM generate_series(0, :users - 1) u JOIN known k ON k.number = u % (SELECT count(*) FROM known);
CREATE TABLE samples AS SELECT user_id, embedding,
	abs(hashint8(user_id)) % 1000 < 1000 * behavpred.score((SELECT model FROM the_model), embedding) AS label FROM everybody;
UPDATE behavpred.registered_graph SET user_embeddings = 'public.everybody';

CREATE FUNCTION audience_digest() RETURNS text LANGUAGE sql
AS $$ SELECT md5(string_agg(user_key || probability::text, ',' ORDER BY rank)) FROM behavpred.audience('buys', size => 1000) $$;
CREATE FUNCTION fraction_digest() RETURNS text LANGUAGE sql
AS $$ SELECT md5(string_agg(user_key || probability::text, ',' ORDER BY rank)) FROM behavpred.audience('buys', fraction => 0.01, exclude_known => false) $$;
CREATE FUNCTION target_digest() RETURNS text LANGUAGE sql
AS $$ SELECT auc || ' ' || log_loss FROM behavpred.train_target('buys', options => '{"deploy": "never"}') $$;
CREATE TABLE expected AS SELECT target_digest(), audience_digest() AS digest, fraction_digest() AS fraction_digest,
	(behavpred.train_student('samples', by_statements => false)).trained AS student;

-- How far apart the logits of two students are at most, over every hundredth user.
CREATE FUNCTION apart(trained behavpred.model) RETURNS float8 LANGUAGE sql
AS $$ SELECT max(abs(behavpred.logit(trained, embedding) - behavpred.logit((SELECT student FROM expected), embedding)))
	FROM everybody WHERE user_id % 100 = 0 $$;

SELECT format('CREATE SERVER there_%s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname ''postgres'', '
	'extensions ''behavpred'', async_capable ''true'', batch_size ''500'', fetch_size ''1000'');'
	'CREATE USER MAPPING FOR CURRENT_USER SERVER there_%s', i, :'relay', 5432 + i, i) FROM generate_series(1, 4) i \gexec

-- Vectors and samples on n servers, each with a part of them; the graph's vectors are those then.
CREATE FUNCTION scatter(n int) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
	relation record;
BEGIN
	PERFORM set_config('client_min_messages', 'warning', true);
	FOR relation IN SELECT * FROM (VALUES ('vectors', 'everybody', 'degree int'), ('samples', 'samples', 'label boolean')) r (name, source, last)
	LOOP
		EXECUTE format('CREATE TABLE %I (user_id bigint, embedding real[], %s) PARTITION BY HASH (user_id)', relation.name || '_' || n, relation.last);
		FOR i IN 1 .. n LOOP
			PERFORM remote(i, format('CREATE TABLE %I (user_id bigint, embedding real[], %s)', relation.name || '_' || n, relation.last));
			EXECUTE format('CREATE FOREIGN TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s) SERVER there_%s OPTIONS (table_name %L)',
				relation.name || '_' || n || '_' || i, relation.name || '_' || n, n, i - 1, i, relation.name || '_' || n);
		END LOOP;
		EXECUTE format('INSERT INTO %I SELECT * FROM %I', relation.name || '_' || n, relation.source);
	END LOOP;
	UPDATE behavpred.registered_graph SET user_embeddings = 'public.vectors_' || n;
END
$$;
CREATE EXTENSION dblink;
CREATE FUNCTION remote(i int, statement text) RETURNS void LANGUAGE sql AS $$ SELECT dblink_exec('there_' || i, statement) $$;
\o
