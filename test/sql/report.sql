-- model_card() and report_html(): what they tell, that nothing in a name becomes a tag, and who may ask.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
-- A page is hundreds of small queries, each of which would start a worker where workers are forced.
SET max_parallel_workers_per_gather = 0;
CREATE EXTENSION IF NOT EXISTS behavpred;
SELECT row_count FROM behavpred.demo_data('report_test', users => 800, objects => 60, events_per_user => 15, targets => 2, target_rate => 0.25)
WHERE relation = 'report_test.users';
SET search_path = report_test, public;

-- Names with everything that HTML and Markdown give a meaning to.
CREATE VIEW "<script>alert('|x|')</script>" AS SELECT * FROM events;
SELECT users_found > 700 AS users FROM behavpred.create_graph('reported', '"<script>alert(''|x|'')</script>"',
  behavior_column => 'kind', behaviors => '{click,purchase,"a<b>&\"c"}', time_column => 'happened_at');
SELECT behavpred.create_target('hostile', 'reported', object => '61'), behavpred.create_target('plain', 'reported', object => '62');
SELECT behavpred.model_card('plain');
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('reported', dimension => 8, factors => 2, epochs => 3);
SELECT count(*) AS trained FROM behavpred.train_targets('reported', calibration => 'isotonic') WHERE error IS NULL;

-- Errors.
SELECT behavpred.model_card('nobody');
SELECT behavpred.model_card(NULL);
SELECT behavpred.report_html('plain', version => 7);
SELECT behavpred.model_card('plain', format => 'xml');

-- The card as JSON: the figures are those of evaluate() and of the runs.
SELECT behavpred.model_card('plain', format => 'json')::jsonb AS card \gset
SELECT key FROM jsonb_each(:'card') ORDER BY key;
SELECT count(*) AS metrics, bool_and((m ->> 'value')::float8 = e.value AND (m ->> 'low')::float8 = e.low AND (m ->> 'n')::int = e.n) AS as_evaluated
FROM jsonb_array_elements(:'card'::jsonb -> 'metrics') AS m
JOIN behavpred.evaluate('plain') e ON e.metric = m ->> 'metric' AND e.at IS NOT DISTINCT FROM (m ->> 'at')::float8;
SELECT :'card'::jsonb #>> '{data,behaviors,2}' AS behavior, :'card'::jsonb #>> '{data,row_security}' AS row_security, :'card'::jsonb #>> '{data,target_read_as}' = current_user AS read_as,
       (:'card'::jsonb #>> '{data,first_interaction}')::timestamptz = (SELECT min(happened_at) FROM events WHERE kind <> 'impression') AS first_interaction,
       (:'card'::jsonb #>> '{graph_training,seed}')::bigint AS seed, :'card'::jsonb #>> '{graph_training,options,dimension}' AS dimension,
       :'card'::jsonb #>> '{calibration,method}' AS calibration, :'card'::jsonb #>> '{sample,test_basis}' AS test_basis,
       jsonb_array_length(:'card'::jsonb -> 'limits') > 3 AS limits;
SELECT limit_line ~ '^Only [0-9]+ positive users measured it; the AUC is known to within 0\.[0-9]+\.$' AS few FROM jsonb_array_elements_text(:'card'::jsonb -> 'limits') AS limit_line WHERE limit_line LIKE 'Only %';

-- As Markdown: a heading for each part; every line of a table has as many cells as its head.
SELECT line FROM regexp_split_to_table(behavpred.model_card('plain'), '\n') AS line WHERE line LIKE '#%';
-- Whatever a session takes backslashes for.
SELECT md5(behavpred.model_card('hostile')) AS card \gset
SET standard_conforming_strings = off;
SELECT md5(behavpred.model_card('hostile')) = :'card' AS same_card;
RESET standard_conforming_strings;
SELECT line FROM regexp_split_to_table(behavpred.model_card('hostile'), '\n') AS line WHERE line LIKE '#%Model%' OR line LIKE '| target |%' OR line LIKE '| interactions |%' OR line LIKE '| behaviors |%';
SELECT count(*) > 60 AS lines, count(DISTINCT cells) AS kinds_of_tables FROM (
  SELECT length(replace(line, '\|', '')) - length(replace(replace(line, '\|', ''), '|', '')) AS cells FROM regexp_split_to_table(behavpred.model_card('hostile'), '\n') AS line WHERE line LIKE '|%') AS l;

-- Every tag of the page is known to it and closed in order; names are text.
CREATE FUNCTION pg_temp.check_page(page text) RETURNS TABLE (tags bigint, unknown text, unbalanced text) LANGUAGE plpgsql AS $$
DECLARE
  tag text[];
  open text[] := '{}';
BEGIN
  tags := 0;
  FOR tag IN SELECT regexp_matches(regexp_replace(page, '<style>.*?</style>', ''), '<(/?)([^\s>/]*)[^>]*?(/?)>', 'g') LOOP
    tags := tags + 1;
    IF tag[2] <> ALL ('{!DOCTYPE,html,head,meta,title,body,main,h1,h2,h3,p,div,section,span,b,i,svg,line,text,polyline,polygon,circle,table,thead,tbody,tr,th,td,ul,li,footer}') THEN
      unknown := concat(unknown, ' ', tag[2]);
    END IF;
    CONTINUE WHEN tag[3] = '/' OR tag[2] IN ('!DOCTYPE', 'meta');
    IF tag[1] = '' THEN
      open := open || tag[2];
    ELSIF open[cardinality(open)] = tag[2] THEN
      open := open[:cardinality(open) - 1];
    ELSE
      unbalanced := concat(unbalanced, ' ', tag[2]);
    END IF;
  END LOOP;
  unbalanced := nullif(concat(unbalanced, array_to_string(open, ' ')), '');
  RETURN NEXT;
END
$$;
CREATE TABLE pages AS SELECT target, behavpred.report_html(target) AS page FROM behavpred.targets WHERE graph = 'reported';
SELECT tags > 300 AS tags, unknown, unbalanced FROM pages, pg_temp.check_page(page);
SELECT page ~ '&lt;script&gt;alert\(&#39;&#39;\|x\|&#39;&#39;\)&lt;/script&gt;' OR page ~ '&lt;script&gt;alert\(&#39;\|x\|&#39;\)&lt;/script&gt;' AS named, page ~ 'a&lt;b&gt;&amp;&quot;c' AS behavior,
       page ~* '<script|javascript|https?:|url\(|@import| on[a-z]+=|src=|href=' AS needs_something FROM pages WHERE target <> 'plain';
SELECT m[1] AS part FROM pages, regexp_matches(page, '<h2>([^<]*)</h2>', 'g') AS m WHERE target = 'plain';
SELECT cardinality(regexp_split_to_array(page, '<svg')) - 1 AS charts, page ~ 'NaN|Infinity|points=""' AS broken, cardinality(regexp_split_to_array(page, 'class="bar"')) - 1 AS bars,
       page ~ 'prefers-color-scheme: dark' AND page ~ 'name="viewport"' AS for_every_screen FROM pages WHERE target = 'plain';
-- The shares of the bars make a whole.
SELECT abs(sum(m[1]::float8) - 100) < 1 AS whole FROM pages, regexp_matches(page, '<i style="width:([0-9.]+)%"></i>', 'g') AS m WHERE target = 'plain';
-- The same twice, but for the time at its foot.
SELECT regexp_replace(page, '<footer>.*', '') = regexp_replace(behavpred.report_html('plain'), '<footer>.*', '') AS repeatable FROM pages WHERE target = 'plain';

-- An imported model has no test part here: the card has the figures that came with it, the page no curves of them.
SELECT behavpred.import_model('plain', behavpred.export_model('plain'), deploy => false) AS version \gset
SELECT behavpred.model_card('plain', version => :version) ~ 'No test part was kept here' AS card,
       abs((behavpred.model_card('plain', format => 'json', version => :version)::jsonb #>> '{metrics,1,value}')::float8 - (SELECT value FROM behavpred.metrics WHERE target = 'plain' AND version = 1 AND metric = 'auc')) < 1e-9 AS same_auc;
SELECT unknown, unbalanced, cardinality(regexp_split_to_array(behavpred.report_html('plain', :version), '<svg')) - 1 AS charts FROM pg_temp.check_page(behavpred.report_html('plain', :version));

-- Readers see it, without what only the owner may ask of the sources; others see nothing.
CREATE ROLE regress_behavpred_reader;
GRANT USAGE ON SCHEMA report_test TO regress_behavpred_reader;
SELECT behavpred.grant_on('target', 'plain', 'predict', 'regress_behavpred_reader');
SET ROLE regress_behavpred_reader;
SELECT behavpred.model_card('hostile');
\set VERBOSITY terse
SELECT behavpred.report_html('plain');
\set VERBOSITY default
RESET ROLE;
SELECT behavpred.grant_on('target', 'plain', 'read', 'regress_behavpred_reader');
SET ROLE regress_behavpred_reader;
SELECT behavpred.model_card('plain', format => 'json')::json #>> '{data,first_interaction}' AS first_interaction,
       behavpred.model_card('plain') ~ E'\n\\| shown to \\| readers of the graph \\|\n' AS graph_is_another_matter;
SELECT m[1] AS reading FROM regexp_matches(behavpred.report_html('plain'), '<h2>Audience</h2><p>([^<]*)</p>') AS m;
RESET ROLE;

-- After another training of the graph: the card warns, the page says what cannot be drawn.
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('reported', dimension => 8, factors => 2, epochs => 1);
SELECT behavpred.model_card('plain') ~ 'The graph has been trained again since' AS warned;
SELECT unknown, unbalanced, cardinality(regexp_split_to_array(behavpred.report_html('plain'), '<p>Not drawn: ')) - 1 AS not_drawn FROM pg_temp.check_page(behavpred.report_html('plain'));

SELECT behavpred.drop_graph('reported');
RESET search_path;
DROP OWNED BY regress_behavpred_reader;
DROP ROLE regress_behavpred_reader;
DROP SCHEMA report_test CASCADE;
