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

DROP SCHEMA capture CASCADE;
DROP ROLE regress_behavpred_writer;
