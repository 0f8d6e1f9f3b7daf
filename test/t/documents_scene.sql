-- What the pages of doc/ speak of: a shop with its events, users, articles and lists.
SELECT FROM behavpred.demo_data('made', users => 500, objects => 60, targets => 1, events_per_user => 20, target_rate => 0.2);
CREATE TABLE events AS
SELECT event_id, CASE user_id WHEN 500 THEN 4711 ELSE user_id END AS user_id, object_id, kind, happened_at,
       event_id % 90 AS seconds, 1 + event_id % 3 AS quantity
FROM made.events;
ALTER TABLE events ADD PRIMARY KEY (event_id);
CREATE TABLE users AS
SELECT CASE user_id WHEN 500 THEN 4711 ELSE user_id END AS user_id, country, age, CASE WHEN user_id % 4 = 0 THEN 'gold' ELSE 'basic' END AS plan
FROM made.users;
CREATE TABLE articles AS SELECT object_id, category, 10 + object_id % 7 AS price FROM made.objects;
CREATE TABLE vip_users AS SELECT user_id FROM users WHERE user_id % 7 = 3;
CREATE TABLE good_customers AS SELECT user_id FROM users WHERE user_id % 9 = 4;
CREATE TABLE newsletter AS SELECT user_id FROM users WHERE user_id % 2 = 0;
CREATE TABLE bought_since AS SELECT user_id, user_id % 5 = 1 AS label FROM users WHERE user_id % 3 = 0;
CREATE TABLE held_out AS SELECT user_id, object_id FROM events WHERE event_id % 20 = 7;
CREATE TABLE my_experiment AS
SELECT 1 + user_id % 2 AS version, user_id % 4 = 1 AS clicked, 1.0 / (2 + user_id % 11) AS score FROM users;
ANALYZE;
