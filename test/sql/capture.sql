-- Change capture: which keys each mode queues, what it misses, and what goes with it.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA capture;
SET search_path = capture;
CREATE ROLE regress_behavpred_writer;
GRANT USAGE ON SCHEMA capture TO regress_behavpred_writer;

CREATE TABLE events (user_id int, object_id int, kind text, seconds real, note text, at timestamptz DEFAULT now());
INSERT INTO events SELECT i % 50, (i * 7 + i / 50) % 9, 'click', 1 FROM generate_series(1, 500) i;
GRANT SELECT, INSERT, UPDATE, DELETE ON events TO regress_behavpred_writer;
SELECT users_found FROM behavpred.create_graph('shop', 'events', behavior_column => 'kind', behaviors => '{click,buy}',
  value_column => 'seconds', min_value => 1);
CREATE VIEW queue AS
SELECT row_number() OVER (ORDER BY entry) AS n, (SELECT array_agg(u ORDER BY u) FROM unnest(users) u) AS users,
       (SELECT array_agg(o ORDER BY o) FROM unnest(objects) o) AS objects
FROM behavpred.changed_nodes WHERE graph = 'shop';

-- What is refused.
SELECT behavpred.capture_changes('shop', 'rows');
SELECT behavpred.capture_changes('shop', NULL);
SELECT behavpred.capture_changes('nowhere');
SELECT behavpred.capture_changes('shop', 'time');
CREATE VIEW few AS SELECT * FROM events;
SELECT users_found FROM behavpred.create_graph('seen', 'few', time_column => 'at');
SELECT behavpred.capture_changes('seen');
SELECT behavpred.capture_changes('seen', 'time', '-1 hour');
SELECT behavpred.capture_changes('seen', 'time');
SELECT capture, watermark IS NOT NULL AS looked FROM behavpred.freshness WHERE graph = 'seen';
SELECT behavpred.drop_graph('seen');

-- By statement, as a role that may do nothing but write. Rows that do not count, and columns that do not, queue nothing.
SELECT behavpred.capture_changes('shop');
SET ROLE regress_behavpred_writer;
INSERT INTO events VALUES (1, 2, 'click', 1), (1, 3, 'view', 1), (7, 3, 'buy', 5), (8, 4, 'buy', 0.5), (NULL, 3, 'buy', 2);
UPDATE events SET note = 'read' WHERE user_id < 10;
UPDATE events SET seconds = 2 WHERE user_id = 5;
UPDATE events SET kind = 'view' WHERE user_id = 7 AND kind = 'buy';
DELETE FROM events WHERE user_id = 6;
INSERT INTO events SELECT 1, 1, 'click', 1 WHERE false;
COPY events (user_id, object_id, kind, seconds) FROM stdin;
60	1	click	3
60	2	click	3
61	2	view	3
\.
RESET ROLE;
SELECT * FROM queue ORDER BY n;
TRUNCATE events;
SELECT entries, users, objects, everything, uncaptured FROM behavpred.freshness WHERE graph = 'shop';

-- A thousand keys in a row of the queue.
INSERT INTO events SELECT i, i % 5, 'click', 1 FROM generate_series(1, 2500) i;
SELECT cardinality(users) AS users, cardinality(objects) AS objects FROM behavpred.changed_nodes
WHERE graph = 'shop' AND (cardinality(users) > 100 OR cardinality(objects) = 5) ORDER BY 1, 2;

-- A column that is gone does not stop the writers.
ALTER TABLE events RENAME COLUMN seconds TO dwell;
SET client_min_messages = notice;
INSERT INTO events VALUES (1, 1, 'click', 1);
SET client_min_messages = warning;
ALTER TABLE events RENAME COLUMN dwell TO seconds;

-- By row: the queue stays when the mode changes, and goes with the capture.
SELECT count(*) FROM queue;
SELECT behavpred.capture_changes('shop', 'row');
INSERT INTO events VALUES (1, 2, 'click', 1), (1, 3, 'view', 1), (7, 3, 'buy', 5), (NULL, 3, 'buy', 2);
UPDATE events SET note = 'read' WHERE user_id < 10;
UPDATE events SET object_id = 4 WHERE user_id = 7 AND kind = 'buy';
DELETE FROM events WHERE user_id = 1 AND object_id = 2;
SELECT users, objects FROM queue ORDER BY n OFFSET 14;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'events'::regclass ORDER BY 1;
SELECT behavpred.capture_changes('shop', 'none');
SELECT count(*) FROM queue;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'events'::regclass;
SELECT count(*) FROM pg_proc WHERE proname = 'shop_capture';

-- A training forgets what it has seen.
SELECT behavpred.capture_changes('shop');
INSERT INTO events VALUES (1, 2, 'click', 1);
SELECT run_id > 0 AS trained FROM behavpred.train_graph('shop', epochs => 0);
SELECT entries FROM behavpred.freshness WHERE graph = 'shop';
SELECT behavpred.drop_graph('shop');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'events'::regclass;

-- Partitions: rows that go into one directly are seen as well; one that comes later is named.
CREATE TABLE parts (user_id int, object_id text) PARTITION BY RANGE (user_id);
CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE high PARTITION OF parts FOR VALUES FROM (100) TO (200) PARTITION BY LIST (object_id);
CREATE TABLE high_rest PARTITION OF high DEFAULT;
INSERT INTO parts SELECT i % 200, i % 7 FROM generate_series(1, 1000) i;
SELECT users_found FROM behavpred.create_graph('shop', 'parts');
SELECT behavpred.capture_changes('shop');
INSERT INTO parts VALUES (1, 'a'), (101, 'b');
INSERT INTO low VALUES (2, 'c');
INSERT INTO high_rest VALUES (102, 'd');
UPDATE parts SET user_id = 103 WHERE user_id = 2 AND object_id = 'c';
SELECT users, objects FROM queue ORDER BY n;
CREATE TABLE later PARTITION OF parts FOR VALUES FROM (200) TO (300);
SELECT uncaptured FROM behavpred.freshness WHERE graph = 'shop';
SELECT behavpred.capture_changes('shop', 'row');
CREATE TABLE latest PARTITION OF parts FOR VALUES FROM (300) TO (400);
INSERT INTO latest VALUES (301, 'e');
SELECT users, objects FROM queue ORDER BY n DESC LIMIT 1;
SELECT behavpred.drop_graph('shop');

-- Feature tables: the keys of their side, for the columns that are used alone. Keys may be wider than the graph's; the columns may be named
-- twice, the key as well.
CREATE TABLE clicks AS SELECT u AS user_id, 'o' || (u * 7 + k * k) % 9 AS object_id, 1 AS seconds FROM generate_series(1, 50) u, generate_series(1, 4) k;
CREATE TABLE people (id bigint PRIMARY KEY, age int, taste real[], plan text, note text);
CREATE TABLE things (object_id varchar, price numeric, note text);
INSERT INTO people SELECT u, u, ARRAY[u, 1], 'plan ' || u % 3 FROM generate_series(1, 50) u;
INSERT INTO people VALUES (5000000000, 1, '{1,1}', 'plan 1');
INSERT INTO things SELECT 'o' || o, o, 'made' FROM generate_series(0, 8) o;
GRANT SELECT, INSERT, UPDATE, DELETE ON clicks, people, things TO regress_behavpred_writer;
SELECT users_found FROM behavpred.create_graph('shop', 'clicks', value_column => 'seconds', min_value => 1, weight_column => 'seconds',
  users => 'people', user_features => '{age,taste,plan,id,age}', objects => 'things', object_features => '{price}');
SELECT behavpred.capture_changes('shop');
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgrelid IN ('clicks'::regclass, 'people'::regclass, 'things'::regclass) ORDER BY 1, 2;
SET ROLE regress_behavpred_writer;
UPDATE people SET note = 'read';
UPDATE people SET age = age WHERE id = 4;
UPDATE people SET age = 99 WHERE id IN (3, 4, 5000000000);
UPDATE people SET taste = '{0,0}', plan = NULL WHERE id = 5;
UPDATE people SET id = 60 WHERE id = 6;
INSERT INTO people VALUES (61, 1), (62, 2);
INSERT INTO people VALUES (61, 1), (7, 2) ON CONFLICT (id) DO UPDATE SET age = 0;
DELETE FROM people WHERE id = 62;
UPDATE things SET note = 'read';
UPDATE things SET price = 0 WHERE object_id IN ('o1', 'o2');
INSERT INTO things VALUES ('new', 1), (NULL, 1);
INSERT INTO clicks VALUES (1, 'o1', 5), (2, 'o2', 0);
RESET ROLE;
SELECT users, objects FROM queue ORDER BY n;
SELECT everything, uncaptured FROM behavpred.freshness WHERE graph = 'shop';
ALTER TABLE people RENAME COLUMN plan TO tariff;
INSERT INTO people VALUES (70, 1);
UPDATE people SET age = 0 WHERE id = 1;
ALTER TABLE people RENAME COLUMN tariff TO plan;
TRUNCATE things;
SELECT everything FROM behavpred.freshness WHERE graph = 'shop';
SELECT behavpred.capture_changes('shop', 'none');
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('clicks'::regclass, 'people'::regclass, 'things'::regclass);

-- The same by row.
INSERT INTO things SELECT 'o' || o, o, 'made' FROM generate_series(0, 8) o;
SELECT behavpred.capture_changes('shop', 'row');
SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE tgrelid = 'people'::regclass ORDER BY 1;
UPDATE people SET note = 'again';
UPDATE people SET age = 98 WHERE id IN (3, 5000000000);
DELETE FROM people WHERE id = 60;
INSERT INTO things VALUES ('newer', 1), (NULL, 1);
INSERT INTO clicks VALUES (1, 'o1', 5), (2, 'o2', 0);
SELECT users, objects FROM queue ORDER BY n;

-- The feature table of one graph may be that of another, or its interactions, whatever the names.
SELECT users_found FROM behavpred.create_graph('shop_users', 'people', user_column => 'id', object_column => 'age');
SELECT users_found FROM behavpred.create_graph('a_graph_with_a_name_of_forty_characters_', 'clicks', users => 'people', objects => 'things');
SELECT behavpred.capture_changes(graph) FROM unnest('{shop,shop_users,a_graph_with_a_name_of_forty_characters_}'::text[]) graph;
SELECT tgname, tgargs FROM pg_trigger WHERE tgrelid = 'people'::regclass ORDER BY 1;
DELETE FROM behavpred.changed_nodes;
UPDATE people SET age = 50 WHERE id = 9;
SELECT graph, users, objects FROM behavpred.changed_nodes ORDER BY graph, entry;
SELECT behavpred.drop_graph('shop');
SELECT behavpred.drop_graph('a_graph_with_a_name_of_forty_characters_');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'people'::regclass ORDER BY 1;
SELECT behavpred.drop_graph('shop_users');

-- Users and objects in one table; partitions of features.
CREATE TABLE cards (id int, age int) PARTITION BY RANGE (id);
CREATE TABLE cards_low PARTITION OF cards (PRIMARY KEY (id)) FOR VALUES FROM (0) TO (50);
CREATE TABLE cards_high PARTITION OF cards FOR VALUES FROM (50) TO (100);
ALTER TABLE cards ADD PRIMARY KEY (id);
INSERT INTO cards SELECT i, i FROM generate_series(0, 99) i;
CREATE TABLE follows AS SELECT i % 50 AS who, 50 + (i * 7 + i / 50) % 9 AS whom FROM generate_series(1, 500) i;
SELECT users_found FROM behavpred.create_graph('shop', 'follows', user_column => 'who', object_column => 'whom', users => 'cards', objects => 'cards');
SELECT behavpred.capture_changes('shop', mode) FROM unnest('{row,statement}'::text[]) mode;
UPDATE cards SET age = 8 WHERE id = 7;
INSERT INTO cards_high SELECT 50, 1 WHERE false;
UPDATE cards_high SET age = 8 WHERE id = 99;
SELECT users, objects FROM queue ORDER BY n;
CREATE TABLE cards_later PARTITION OF cards FOR VALUES FROM (100) TO (200);
SELECT uncaptured FROM behavpred.freshness WHERE graph = 'shop';
SELECT behavpred.capture_changes('shop', 'row');
SELECT uncaptured FROM behavpred.freshness WHERE graph = 'shop';
SELECT behavpred.drop_graph('shop');
SELECT count(*) FROM pg_trigger t WHERE tgname ~ '^behavpred_';

-- What no trigger can see is said, and told by the view; interactions are captured all the same.
CREATE VIEW seen AS SELECT id AS user_id, age FROM people;
ALTER TABLE clicks OWNER TO regress_behavpred_writer;
GRANT ALL ON SCHEMA capture TO regress_behavpred_writer;
GRANT SELECT ON seen, things TO regress_behavpred_writer;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA behavpred TO regress_behavpred_writer;
SET ROLE regress_behavpred_writer;
SELECT users_found FROM behavpred.create_graph('shop', 'clicks', users => 'seen', objects => 'things');
SELECT behavpred.capture_changes('shop');
INSERT INTO clicks VALUES (1, 'o1', 5);
SELECT users, uncaptured FROM behavpred.freshness WHERE graph = 'shop';
RESET ROLE;
DROP TABLE things;
SET ROLE regress_behavpred_writer;
SELECT behavpred.capture_changes('shop');
SELECT behavpred.drop_graph('shop');
RESET ROLE;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA behavpred FROM regress_behavpred_writer;

-- By time features are not captured, which the view tells.
CREATE TABLE dated AS SELECT user_id, object_id, now() AS at FROM clicks;
SELECT users_found FROM behavpred.create_graph('shop', 'dated', users => 'people', time_column => 'at');
SELECT behavpred.capture_changes('shop', 'time');
SELECT uncaptured FROM behavpred.freshness WHERE graph = 'shop';
SELECT behavpred.drop_graph('shop');

DROP SCHEMA capture CASCADE;
DROP ROLE regress_behavpred_writer;
