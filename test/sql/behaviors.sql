-- Several behaviours in one graph: weights, what is predicted, and what links add to the score.
SET client_min_messages = warning;

-- Users view objects of their block; whether they buy one depends on the object: of every four one sells well.
CREATE TABLE shop (customer int, item int, kind text, value float8);
INSERT INTO shop
SELECT u, o, 'view', 1
FROM generate_series(0, 399) u, generate_series(0, 79) o
WHERE hashint8(u * 1000 + o) & 255 < CASE WHEN u % 4 = o / 20 THEN 120 ELSE 12 END;
INSERT INTO shop
SELECT customer, item, 'cart', 1 FROM shop WHERE kind = 'view' AND hashint8(customer * 7919 + item) & 15 = 0;
INSERT INTO shop
SELECT customer, item, 'purchase', 1 FROM shop
WHERE kind = 'view' AND hashint8(customer * 104729 + item) & 255 < CASE WHEN item % 4 = 0 THEN 150 ELSE 15 END;
-- The last purchase of everybody is what is to be found.
CREATE TABLE found AS
SELECT customer, max(item) AS item FROM shop WHERE kind = 'purchase' GROUP BY customer HAVING count(*) > 2;
DELETE FROM shop s USING found f WHERE s.kind = 'purchase' AND s.customer = f.customer AND s.item = f.item;

SELECT users_found, objects_found, edges > 0 AS edges FROM behavpred.create_graph('shop', 'shop', 'customer', 'item',
  behavior_column => 'kind', behaviors => '{view,cart,purchase}');
SELECT users_found > 0 AS made FROM behavpred.create_graph('plain', 'shop', 'customer', 'item');

-- what cannot be said
SELECT behavpred.set_behaviors(NULL);
SELECT behavpred.set_behaviors('nothing');
SELECT behavpred.set_behaviors('plain', predict => '{purchase}');
SELECT behavpred.set_behaviors('shop', '{"veiw": 1}');
SELECT behavpred.set_behaviors('shop', '{"view": 0}');
SELECT behavpred.set_behaviors('shop', '{"view": "much"}');
SELECT behavpred.set_behaviors('shop', '["view"]');
SELECT behavpred.set_behaviors('shop', predict => '{purchases}');
SELECT behavpred.set_behaviors('shop', predict => '{}');
SELECT behavpred.set_behaviors('shop', predict => '{NULL}');
SELECT count(*) FROM behavpred.graph_behavior;

-- all alike, weighted, what is predicted told
SELECT behavpred.set_behaviors('shop', '{"view": 0.5}', '{purchase}', typed => false);
SELECT * FROM behavpred.graph_behavior;
SELECT run_id > 0 AS trained FROM behavpred.train_graph('shop', dimension => 16, epochs => 20, seed => 3);
SELECT pairs, pairs_left_out FROM behavpred.evaluate_graph('shop', 'found', k => 5);
-- what was viewed stays, what was bought does not
SELECT count(*) FILTER (WHERE s.kind = 'view') > 0 AS viewed, count(*) FILTER (WHERE s.kind = 'purchase') AS bought
FROM behavpred.recommend_all('shop', k => 10) r
LEFT JOIN shop s ON s.customer::text = r.user_key AND s.item::text = r.object_key;
SELECT ndcg AS merged FROM behavpred.evaluate_graph('shop', 'found', k => 5) \gset

-- told apart
SELECT behavpred.set_behaviors('shop', '{"view": 0.5}', '{purchase}');
SELECT weights, predicted, typed FROM behavpred.graph_behavior;
-- the earlier training knows no term; the product alone ranks
SELECT ndcg = :merged AS as_trained FROM behavpred.evaluate_graph('shop', 'found', k => 5);
SELECT run_id > 0 AS trained FROM behavpred.train_graph('shop', dimension => 16, epochs => 20, seed => 3);
SELECT ndcg AS typed, popularity_ndcg AS popularity, pairs, pairs_left_out FROM behavpred.evaluate_graph('shop', 'found', k => 5) \gset
-- the popularity that it is compared with is that of purchases alone
WITH list AS (
  SELECT f.customer, f.item = p.item AS hit, row_number() OVER (PARTITION BY f.customer ORDER BY p.users DESC, p.item) AS place
  FROM found f CROSS JOIN (SELECT item, count(DISTINCT customer) AS users FROM shop WHERE kind = 'purchase' GROUP BY item) p
  WHERE NOT EXISTS (SELECT FROM shop s WHERE s.kind = 'purchase' AND s.customer = f.customer AND s.item = p.item))
SELECT abs(sum(1 / log(2::numeric, place + 1)) FILTER (WHERE hit AND place <= 5) / (SELECT count(*) FROM found) - :popularity) < 0.02 AS popularity
FROM list;
SELECT :typed > 1.1 * :merged AS better_than_merged, :typed > :popularity AS better_than_popularity, :pairs_left_out AS left_out;
SELECT result -> 'direct_behaviors' AS behaviors, result -> 'direct_types' AS types,
       jsonb_array_length(result -> 'direct_object_slopes') AS slopes
FROM behavpred.training_run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) AS objects, count(direct) AS with_numbers, max(cardinality(direct)) AS numbers FROM shop_object_embedding;

-- the score is what the documentation says
WITH run AS (
  SELECT result FROM behavpred.training_run ORDER BY run_id DESC LIMIT 1
), term AS (
  SELECT (result ->> 'direct_scale')::float8 AS scale,
         ARRAY(SELECT x::float8 FROM jsonb_array_elements_text(result -> 'direct_user_slopes') x) AS slopes
  FROM run
), link AS (
  SELECT customer, item, bool_or(kind = 'view') AS viewed, bool_or(kind = 'cart') AS carted, bool_or(kind = 'purchase') AS bought
  FROM shop WHERE customer = 7 GROUP BY customer, item
), own AS (
  SELECT ln(1 + count(*) FILTER (WHERE viewed)) AS views, ln(1 + count(*) FILTER (WHERE carted)) AS carts FROM link
), product AS (
  SELECT o.item, o.direct, behavpred.dot(u.embedding, o.embedding)::float8 AS product, u.embedding[18]::float8 AS activity
  FROM shop_user_embedding u, shop_object_embedding o WHERE u.customer = 7
), expected AS (
  SELECT p.item, p.product + CASE WHEN viewed OR carted THEN p.direct[4] + scale * (product - activity) ELSE 0 END
         + CASE WHEN viewed THEN p.direct[1] + slopes[1] * views ELSE 0 END
         + CASE WHEN carted THEN p.direct[2] + slopes[2] * carts ELSE 0 END AS score
  FROM product p CROSS JOIN term CROSS JOIN own LEFT JOIN link l ON l.item = p.item WHERE NOT coalesce(l.bought, false)
)
SELECT count(*) = (SELECT count(*) FROM expected) AS all_objects, max(abs(r.score - e.score)) < 1e-4 AS as_documented
FROM behavpred.recommend('shop', 7, k => 100) r JOIN expected e ON e.item::text = r.object_key;

-- one user and all users are the same, with and without what was bought
SELECT count(*) > 0 AS rows, count(*) = count(a.score) AND bool_and(abs(a.score - r.score) < 1e-9) AS same
FROM generate_series(0, 399, 40) u CROSS JOIN LATERAL behavpred.recommend('shop', u, k => 10) r
LEFT JOIN behavpred.recommend_all('shop', k => 10) a ON a.user_key = u::text AND a.rank = r.rank AND a.object_key = r.object_key;
SELECT count(*) > 0 AS rows, count(*) = count(a.score) AS same
FROM generate_series(0, 399, 40) u CROSS JOIN LATERAL behavpred.recommend('shop', u, k => 10, exclude_seen => false) r
LEFT JOIN behavpred.recommend_all('shop', k => 10, exclude_seen => false) a ON a.user_key = u::text AND a.rank = r.rank AND a.object_key = r.object_key;
SELECT count(*) FILTER (WHERE s.kind = 'view') > 0 AS viewed, count(*) FILTER (WHERE s.kind = 'purchase') AS bought
FROM behavpred.recommend_all('shop', k => 10) r
LEFT JOIN shop s ON s.customer::text = r.user_key AND s.item::text = r.object_key;

SELECT bytes > 0 AS bytes, seconds > 0 AS seconds FROM behavpred.estimate('shop', dimension => 16, epochs => 20);

-- the term is read with the interactions, so predicting alone is not enough
CREATE ROLE regress_behaviors;
SELECT behavpred.grant_on('graph', 'shop', 'predict', 'regress_behaviors');
SET ROLE regress_behaviors;
SELECT * FROM behavpred.recommend('shop', 7, exclude_seen => false);
SELECT * FROM behavpred.recommend_all('shop', exclude_seen => false);
SELECT behavpred.set_behaviors('shop', typed => false);
RESET ROLE;
SELECT behavpred.revoke_on('graph', 'shop', 'predict', 'regress_behaviors');
DROP OWNED BY regress_behaviors;
DROP ROLE regress_behaviors;

-- single vectors: near those of the training; newcomers are ranked, and new objects have their numbers
CREATE TABLE trained AS SELECT customer, embedding, degree, state FROM shop_user_embedding;
SELECT behavpred.capture_changes('shop');
INSERT INTO shop SELECT customer, 90, kind, value FROM shop WHERE item = 40;
INSERT INTO shop SELECT 500 + u, item, kind, value FROM shop, generate_series(0, 3) u WHERE customer = u + 4 AND item < 80 AND item <> 40;
CALL behavpred.run_refresh('shop');
SELECT users_refreshed FROM behavpred.refresh('shop', users => ARRAY(SELECT u::text FROM generate_series(0, 399) u));
SELECT avg(behavpred.cosine(t.embedding[1:16], u.embedding[1:16])) > 0.9 AS near,
       corr(t.embedding[18], u.embedding[18]) > 0.9 AS activities
FROM trained t JOIN shop_user_embedding u USING (customer);
SELECT count(*) AS twins, min(behavpred.cosine(u.embedding, t.embedding)) > 0.8 AS near
FROM shop_user_embedding u JOIN shop_user_embedding t ON t.customer = u.customer - 496 WHERE u.customer >= 500;
SELECT cardinality(n.direct) AS numbers, n.degree - o.degree AS more,
       (SELECT max(abs(x - y)) FROM unnest(n.direct, o.direct) d (x, y)) < 0.001 AS like_its_twin
FROM shop_object_embedding n, shop_object_embedding o WHERE n.item = 90 AND o.item = 40;
SELECT count(*) AS recommended FROM behavpred.recommend('shop', 501, k => 5);
SELECT behavpred.cosine(behavpred.embed('shop', ARRAY[20, 24, 28]), behavpred.embed('shop', ARRAY[28, 32, 36])) >
       behavpred.cosine(behavpred.embed('shop', ARRAY[20, 24, 28]), behavpred.embed('shop', ARRAY[40, 44, 48])) + 0.3 AS same_block;

-- without the states of objects there are none
ALTER TABLE shop_object_embedding RENAME state TO put_away;
SELECT behavpred.refresh('shop', users => '{1}');
ALTER TABLE shop_object_embedding RENAME put_away TO state;
-- merged, behaviours are weights
SELECT behavpred.set_behaviors('shop', '{"view": 0.5}', '{purchase}', typed => false);
SELECT run_id > 0 AS trained FROM behavpred.train_graph('shop', dimension => 16, epochs => 20, seed => 3);
DELETE FROM trained;
INSERT INTO trained SELECT customer, embedding, degree FROM shop_user_embedding;
SELECT users_refreshed, interactions_read = (SELECT count(*) FROM shop WHERE customer < 400) AS all_behaviors
FROM behavpred.refresh('shop', users => ARRAY(SELECT u::text FROM generate_series(0, 399) u));
SELECT avg(behavpred.cosine(t.embedding[1:16], u.embedding[1:16])) > 0.9 AS near, bool_and(t.degree = u.degree) AS degrees
FROM trained t JOIN shop_user_embedding u USING (customer);
SELECT behavpred.capture_changes('shop', 'none');
DELETE FROM shop WHERE customer >= 500 OR item = 90;
SELECT behavpred.set_behaviors('shop', '{"view": 0.5}', '{purchase}');
SELECT run_id > 0 AS trained FROM behavpred.train_graph('shop', dimension => 16, epochs => 20, seed => 3);

-- the same seed gives the same bytes, in a procedure and with any number of threads
CREATE TABLE first_vectors AS SELECT item, embedding, direct FROM shop_object_embedding;
CALL behavpred.run_graph('shop', dimension => 16, epochs => 20, seed => 3, threads => 2);
SELECT count(*) AS objects, bool_and(f.embedding = o.embedding AND f.direct = o.direct) AS same
FROM first_vectors f JOIN shop_object_embedding o USING (item);

-- what is said after a training is not what was trained
SELECT behavpred.set_behaviors('shop', predict => '{cart}');
\set VERBOSITY terse
SELECT count(*) FROM behavpred.recommend('shop', 7);
\set VERBOSITY default
SELECT behavpred.set_behaviors('shop', typed => false);
SELECT count(*) FROM behavpred.graph_behavior;
SELECT count(*) > 0 AS by_the_product FROM behavpred.recommend('shop', 7);

-- nobody does what is to be predicted
SELECT users_found FROM behavpred.create_graph('empty', 'shop', 'customer', 'item',
  behavior_column => 'kind', behaviors => '{view,refund}');
SELECT behavpred.set_behaviors('empty', predict => '{refund}');
SELECT behavpred.train_graph('empty');
-- more than a network tells apart
SELECT users_found FROM behavpred.create_graph('many', 'shop', 'customer', 'item',
  behavior_column => 'kind', behaviors => '{view,b,c,d,e,f,g,h,i}');
SELECT behavpred.set_behaviors('many');
SELECT behavpred.set_behaviors('many', typed => false, predict => '{view}');
-- without held-out edges there is no term
SELECT behavpred.set_behaviors('shop', predict => '{purchase}');
SELECT run_id > 0 AS trained FROM behavpred.train_graph('shop', dimension => 8, epochs => 1, validation_fraction => 0);
SELECT count(direct) AS numbers FROM shop_object_embedding;
SELECT count(*) AS recommended FROM behavpred.recommend('shop', 7);
SELECT behavpred.drop_graph(graph) FROM behavpred.registered_graph WHERE graph IN ('shop', 'plain', 'empty', 'many');
SELECT count(*) FROM behavpred.graph_behavior;
DROP TABLE shop, found, first_vectors;
