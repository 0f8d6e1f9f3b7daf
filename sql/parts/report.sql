
-- ---------------------------------------------------------------------------
-- report_html(): a target's model on one page that needs nothing beside itself. Charts are
-- SVG, drawn into a frame {left, right, bottom, top} of values; whatever comes from users
-- passes report_escape().
-- ---------------------------------------------------------------------------

CREATE FUNCTION behavpred_internal.report_escape(words text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT replace(replace(replace(replace(replace(regexp_replace(words, E'[\\x01-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]', ' ', 'g'),
    '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;')
$$;
COMMENT ON FUNCTION behavpred_internal.report_escape(text) IS 'For report_html(): text that may stand between tags and in attributes';

CREATE FUNCTION behavpred_internal.report_percent(share float8) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT behavpred_internal.card_number(100 * share) || ' %' $$;
COMMENT ON FUNCTION behavpred_internal.report_percent(float8) IS 'For report_html(): a share in percent';

-- ---- charts ---------------------------------------------------------------

-- From values to the plot's 310 by 198 units.
CREATE FUNCTION behavpred_internal.report_place(frame float8[], x float8, y float8) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT round((70 + 310 * (x - frame[1]) / nullif(frame[2] - frame[1], 0))::numeric, 1) || ','
      || round((212 - 198 * (y - frame[3]) / nullif(frame[4] - frame[3], 0))::numeric, 1)
$$;
COMMENT ON FUNCTION behavpred_internal.report_place(float8[], float8, float8) IS 'For report_html(): a point of a chart in the units of its drawing';

CREATE FUNCTION behavpred_internal.report_line(frame float8[], x float8[], y float8[], class text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('<polyline class="%s" points="%s"/>', class, string_agg(behavpred_internal.report_place(frame, p.x, p.y), ' ' ORDER BY p.place))
  FROM unnest(x, y) WITH ORDINALITY AS p (x, y, place) WHERE p.x IS NOT NULL AND p.y IS NOT NULL
$$;
COMMENT ON FUNCTION behavpred_internal.report_line(float8[], float8[], float8[], text) IS 'For report_html(): a line through points';

CREATE FUNCTION behavpred_internal.report_dots(frame float8[], x float8[], y float8[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg(format('<circle class="dot" r="3.5" cx="%s" cy="%s"/>', split_part(d.place, ',', 1), split_part(d.place, ',', 2)), '')
  FROM unnest(x, y) AS p (x, y), LATERAL (SELECT behavpred_internal.report_place(frame, p.x, p.y) AS place) AS d
$$;
COMMENT ON FUNCTION behavpred_internal.report_dots(float8[], float8[], float8[]) IS 'For report_html(): a dot at each point';

CREATE FUNCTION behavpred_internal.report_band(frame float8[], x float8[], low float8[], high float8[], class text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('<polygon class="%s" points="%s %s"/>', class,
                string_agg(behavpred_internal.report_place(frame, p.x, least(p.high, frame[4])), ' ' ORDER BY p.place),
                string_agg(behavpred_internal.report_place(frame, p.x, p.low), ' ' ORDER BY p.place DESC))
  FROM unnest(x, low, high) WITH ORDINALITY AS p (x, low, high, place) WHERE p.low IS NOT NULL AND p.high IS NOT NULL
$$;
COMMENT ON FUNCTION behavpred_internal.report_band(float8[], float8[], float8[], float8[], text) IS 'For report_html(): the area between two lines, such as an interval';

-- Round numbers within a range, four steps or so.
CREATE FUNCTION behavpred_internal.report_ticks(low float8, high float8) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_agg(round((tick * step)::numeric, 12)::float8 ORDER BY tick)
  FROM (SELECT power(10, floor(log(rough))) * CASE WHEN rough / power(10, floor(log(rough))) < 1.5 THEN 1
                 WHEN rough / power(10, floor(log(rough))) < 3.5 THEN 2 ELSE 5 END AS step
        FROM (SELECT (high - low) / 4 AS rough WHERE high > low) AS r) AS s,
    generate_series(ceil(low / step - 1e-9)::bigint, floor(high / step + 1e-9)::bigint) AS tick
$$;
COMMENT ON FUNCTION behavpred_internal.report_ticks(float8, float8) IS 'For report_html(): round numbers for an axis';

-- A chart with axes; marks are drawn already. Positions and labels of the ticks are the
-- caller's, so that an axis may be logarithmic.
CREATE FUNCTION behavpred_internal.report_chart(frame float8[], x_at float8[], x_labels text[], y_at float8[], y_labels text[],
                             x_title text, y_title text, marks text, description text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT concat(
    format('<svg viewBox="0 0 400 264" role="img" aria-label="%s"><title>%1$s</title>', behavpred_internal.report_escape(description)),
    (SELECT string_agg(format('<line class="grid" x1="70" x2="380" y1="%1$s" y2="%1$s"/><text class="tick" text-anchor="end" x="64" y="%2$s">%3$s</text>',
              split_part(t.place, ',', 2), split_part(t.place, ',', 2)::numeric + 4.5, behavpred_internal.report_escape(t.label)), '')
     FROM (SELECT behavpred_internal.report_place(frame, frame[1], t.y) AS place, t.label FROM unnest(y_at, y_labels) AS t (y, label)) AS t),
    (SELECT string_agg(format('<text class="tick" text-anchor="middle" x="%s" y="230">%s</text>',
              split_part(t.place, ',', 1), behavpred_internal.report_escape(t.label)), '')
     FROM (SELECT behavpred_internal.report_place(frame, t.x, frame[3]) AS place, t.label FROM unnest(x_at, x_labels) AS t (x, label)) AS t),
    '<line class="axis" x1="70" x2="380" y1="212" y2="212"/>', marks,
    format('<text class="label" text-anchor="middle" x="225" y="253">%s</text>', behavpred_internal.report_escape(x_title)),
    format('<text class="label" text-anchor="middle" transform="translate(13 113) rotate(-90)">%s</text></svg>', behavpred_internal.report_escape(y_title)))
$$;
COMMENT ON FUNCTION behavpred_internal.report_chart(float8[], float8[], text[], float8[], text[], text, text, text, text) IS 'For report_html(): axes around what is drawn already';

-- Both axes from 0 to the same end, in percent, with the diagonal.
CREATE FUNCTION behavpred_internal.report_square(top float8, x_title text, y_title text, marks text, description text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_chart(ARRAY[0, top, 0, top], t.at, t.labels, t.at, t.labels, x_title, y_title,
           behavpred_internal.report_line(ARRAY[0, top, 0, top], ARRAY[0, top], ARRAY[0, top], 'reference') || marks, description)
  FROM (SELECT array_agg(tick) AS at, array_agg(behavpred_internal.report_percent(tick)) AS labels
        FROM unnest(behavpred_internal.report_ticks(0, top)) AS tick) AS t
$$;
COMMENT ON FUNCTION behavpred_internal.report_square(float8, text, text, text, text) IS 'For report_html(): a chart of two shares, with its diagonal';

CREATE FUNCTION behavpred_internal.report_card(title text, reading text, body text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT format(E'<section class="card"><h2>%s</h2><p>%s</p>%s</section>\n', behavpred_internal.report_escape(title), behavpred_internal.report_escape(reading), body) $$;
COMMENT ON FUNCTION behavpred_internal.report_card(text, text, text) IS 'For report_html(): a part of the page with a title and a sentence; the body is HTML already';

CREATE FUNCTION behavpred_internal.report_legend(names text[], classes text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT '<p class="legend">' || string_agg(format('<span><i class="%s"></i>%s</span>', l.class, behavpred_internal.report_escape(l.name)), ' ' ORDER BY l.place) || '</p>'
  FROM unnest(names, classes) WITH ORDINALITY AS l (name, class, place)
$$;
COMMENT ON FUNCTION behavpred_internal.report_legend(text[], text[]) IS 'For report_html(): which colour is what';

CREATE FUNCTION behavpred_internal.report_rows(heads text[], cells text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT '<div class="wide"><table><thead><tr>' || (SELECT string_agg('<th>' || behavpred_internal.report_escape(h) || '</th>', '' ORDER BY n) FROM unnest(heads) WITH ORDINALITY AS u (h, n))
    || '</tr></thead><tbody>' || string_agg(CASE WHEN (place - 1) % array_length(heads, 1) = 0 THEN '<tr>' ELSE '' END
         || '<td>' || coalesce(behavpred_internal.report_escape(cell), '') || '</td>'
         || CASE WHEN place % array_length(heads, 1) = 0 THEN '</tr>' ELSE '' END, '' ORDER BY place) || '</tbody></table></div>'
  FROM unnest(cells) WITH ORDINALITY AS c (cell, place)
$$;
COMMENT ON FUNCTION behavpred_internal.report_rows(text[], text[]) IS 'For report_html(): a table, its cells row by row';

-- ---- parts of the page ----------------------------------------------------

-- Reading the sources is for those who may; for others the part says why it is empty.
CREATE FUNCTION behavpred_internal.report_audience(target text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  frame float8[] := '{-3,0,0,1}';
  drawing text;
  listing text;
  reading text;
BEGIN
  WITH curve AS MATERIALIZED (
    SELECT c.*, sum(c.expected_positives) FILTER (WHERE c.fraction = 1) OVER () AS expected_all
    FROM behavpred.audience_curve(target) c WHERE c.size > 0
  ), points AS (
    SELECT array_agg(log(fraction) ORDER BY size) AS x, array_agg(recall ORDER BY size) AS y, array_agg(fraction ORDER BY size) AS chance,
           array_agg(positives_low / expected_all ORDER BY size) AS low, array_agg(positives_high / expected_all ORDER BY size) AS high
    FROM (SELECT DISTINCT ON (size) * FROM curve ORDER BY size, fraction) AS c
  )
  SELECT behavpred_internal.report_chart(frame, '{-3,-2,-1,0}', '{0.1 %,1 %,10 %,100 %}', '{0,0.25,0.5,0.75,1}', '{0 %,25 %,50 %,75 %,100 %}',
           'share of the users in the audience', 'share of all who will act',
           concat(behavpred_internal.report_band(frame, x, low, high, 'band'), behavpred_internal.report_line(frame, x, chance, 'reference'),
                  behavpred_internal.report_line(frame, x, y, 'first')), 'Share of those who will act that audiences of each size hold'),
         behavpred_internal.report_rows('{users,probability of the last,expected to act,95 % interval,lift}', (
           SELECT array_agg(cell ORDER BY c.size, n) FROM curve c, unnest(ARRAY[
             behavpred_internal.card_number(c.size), behavpred_internal.report_percent(c.threshold), behavpred_internal.card_number(c.expected_positives),
             behavpred_internal.card_number(c.positives_low) || ' to ' || behavpred_internal.card_number(c.positives_high), behavpred_internal.card_number(c.lift)]) WITH ORDINALITY AS u (cell, n))),
         (SELECT format('The best %s users (%s) are expected to hold %s of those who will act, %s times as many as users drawn at random.',
                   behavpred_internal.card_number(size), behavpred_internal.report_percent(fraction), behavpred_internal.report_percent(recall), behavpred_internal.card_number(recall / fraction))
          FROM curve ORDER BY abs(fraction - 0.1) LIMIT 1)
  INTO drawing, listing, reading FROM points;
  RETURN behavpred_internal.report_card('Audience', reading,
           drawing || behavpred_internal.report_legend('{model,95 % interval,at random}', '{first,band,reference}') || listing);
EXCEPTION WHEN insufficient_privilege OR object_not_in_prerequisite_state OR undefined_table THEN
  RETURN behavpred_internal.report_card('Audience', 'Not drawn: ' || SQLERRM || '.', '');
END
$$;
COMMENT ON FUNCTION behavpred_internal.report_audience(text) IS 'For report_html(): audience_curve()';

CREATE FUNCTION behavpred_internal.report_roc(target text, version int, auc json) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_card('Who acts before who does not',
    format('AUC %s, 95 %% interval %s to %s: so often does a user who acted score above one who did not.%s', behavpred_internal.card_text(auc -> 'value'),
           behavpred_internal.card_text(auc -> 'low'), behavpred_internal.card_text(auc -> 'high'),
           ' By the number of interactions alone it is ' || behavpred_internal.card_number((auc ->> 'popularity')::float8) || '.'),
    behavpred_internal.report_square(1, 'share of those who did not act', 'share of those who acted',
      behavpred_internal.report_line('{0,1,0,1}', 0::float8 || array_agg(r.false_positive_rate ORDER BY r.fraction) || 1::float8,
                            0::float8 || array_agg(r.true_positive_rate ORDER BY r.fraction) || 1::float8, 'first'), 'ROC curve')
    || behavpred_internal.report_legend('{model,at random}', '{first,reference}'))
  FROM behavpred.roc_curve(target, 200, version) r
$$;
COMMENT ON FUNCTION behavpred_internal.report_roc(text, int, json) IS 'For report_html(): roc_curve()';

CREATE FUNCTION behavpred_internal.report_calibration(method text, ece json, bins json) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH b AS (SELECT b.*, least(1, 1.08 * max(greatest(b.probability, b.high)) OVER ()) AS top
             FROM json_to_recordset(bins) AS b (probability float8, rate float8, low float8, high float8))
  SELECT behavpred_internal.report_card('Are the probabilities true?',
    format('Mean distance of probability and rate (ECE): %s, 95 %% interval %s to %s. Method: %s.', behavpred_internal.card_text(ece -> 'value'),
           behavpred_internal.card_text(ece -> 'low'), behavpred_internal.card_text(ece -> 'high'), method),
    behavpred_internal.report_square(max(b.top), 'probability', 'share who acted', string_agg(
      behavpred_internal.report_line(ARRAY[0, b.top, 0, b.top], ARRAY[b.probability, b.probability], ARRAY[b.low, b.high], 'whisker')
      || behavpred_internal.report_dots(ARRAY[0, b.top, 0, b.top], ARRAY[b.probability], ARRAY[b.rate]), ''), 'Reliability curve')
    || behavpred_internal.report_legend('{users of a tenth,95 % interval,exactly true}', '{dot,whisker,reference}'))
  FROM b
$$;
COMMENT ON FUNCTION behavpred_internal.report_calibration(text, json, json) IS 'For report_html(): calibration_curve()';

-- Shares of both classes by log odds: the steps of the ROC curve, in bins.
CREATE FUNCTION behavpred_internal.report_scores(target text, version int, bins int) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH scores AS (
    SELECT ln(p / (1 - p)) AS logit, true_positive_rate - lag(true_positive_rate, 1, 0::float8) OVER taken AS acted,
           false_positive_rate - lag(false_positive_rate, 1, 0::float8) OVER taken AS others
    FROM behavpred.roc_curve(target, 100000, version), LATERAL (SELECT least(greatest(threshold, 1e-6), 1 - 1e-6) AS p) AS c
    WINDOW taken AS (ORDER BY fraction)
  ), width AS (
    SELECT min(logit) - 1e-6 AS low, greatest(max(logit), min(logit) + 1e-3) + 1e-6 AS high FROM scores WHERE acted + others > 0
  ), counted AS (
    SELECT w.low + (w.high - w.low) * (n - 0.5) / bins AS middle, coalesce(sum(s.acted), 0) AS acted, coalesce(sum(s.others), 0) AS others
    FROM width w CROSS JOIN generate_series(1, bins) AS n LEFT JOIN scores s ON width_bucket(s.logit, w.low, w.high, bins) = n GROUP BY w.low, w.high, n
  ), drawn AS (
    SELECT ARRAY[min(w.low), max(w.high), 0, 1.1 * max(greatest(acted, others))] AS frame,
           array_agg(middle ORDER BY middle) AS x, array_agg(acted ORDER BY middle) AS acted, array_agg(others ORDER BY middle) AS others,
           array_agg(0::float8) AS zero, behavpred_internal.report_ticks(0, 1.1 * max(greatest(acted, others))) AS y_at
    FROM counted, width w
  )
  SELECT behavpred_internal.report_card('Scores', 'How the probabilities of the held-out users are spread; the further the two stand apart, the better.',
    behavpred_internal.report_chart(frame, t.x_at, t.x_labels, y_at, (SELECT array_agg(behavpred_internal.report_percent(y)) FROM unnest(y_at) AS y),
      'probability', 'share of the group',
      concat(behavpred_internal.report_band(frame, x, zero, others, 'area second'), behavpred_internal.report_band(frame, x, zero, acted, 'area'),
             behavpred_internal.report_line(frame, x, others, 'second'), behavpred_internal.report_line(frame, x, acted, 'first')), 'Distribution of the scores')
    || behavpred_internal.report_legend('{acted,did not}', '{first,second}'))
  FROM drawn CROSS JOIN LATERAL (
    SELECT array_agg(ln(p / (1 - p)) ORDER BY p) AS x_at, array_agg(behavpred_internal.report_percent(p) ORDER BY p) AS x_labels
    FROM unnest('{0.00001,0.0001,0.001,0.01,0.1,0.5,0.9,0.99,0.999}'::float8[]) AS p WHERE ln(p / (1 - p)) BETWEEN frame[1] AND frame[2]) t
$$;
COMMENT ON FUNCTION behavpred_internal.report_scores(text, int, int) IS 'For report_html(): scores of the test part, those who acted beside the others';

CREATE FUNCTION behavpred_internal.report_test_part(target text, version int, facts json) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_roc(target, version, (m.all -> 'auc')::json)
      || behavpred_internal.report_calibration(facts #>> '{calibration,method}', (m.all -> 'ece')::json, facts #> '{calibration,bins}')
      || behavpred_internal.report_scores(target, version, CASE WHEN (facts #>> '{sample,test_positives}')::int < 100 THEN 10 ELSE 24 END)
  FROM (SELECT jsonb_object_agg(metric ->> 'metric', metric) AS all FROM json_array_elements(facts -> 'metrics') AS metric) AS m
$$;
COMMENT ON FUNCTION behavpred_internal.report_test_part(text, int, json) IS 'For report_html(): what the test part shows: ROC, calibration, scores';

CREATE FUNCTION behavpred_internal.report_epochs(epochs float8[], numbers float8[], title text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH f AS (
    SELECT ARRAY[least(1, min(x)), greatest(2, max(x)), min(y) - 0.05 * greatest(max(y) - min(y), 1e-5), max(y) + 0.05 * greatest(max(y) - min(y), 1e-5)] AS frame
    FROM unnest(epochs, numbers) AS p (x, y)
  ), t AS (
    SELECT (SELECT array_agg(x) FROM unnest(behavpred_internal.report_ticks(frame[1], frame[2])) AS x WHERE x = floor(x)) AS x_at,
           behavpred_internal.report_ticks(frame[3], frame[4]) AS y_at
    FROM f
  )
  SELECT behavpred_internal.report_chart(frame, x_at, x_at::text[], y_at, (SELECT array_agg(trim_scale(y::numeric)::text) FROM unnest(y_at) AS y), 'epoch', title,
           behavpred_internal.report_line(frame, epochs, numbers, 'first') || behavpred_internal.report_dots(frame, epochs, numbers), title || ' by epoch')
  FROM f, t
$$;
COMMENT ON FUNCTION behavpred_internal.report_epochs(float8[], float8[], text) IS 'For report_html(): a number that changes from epoch to epoch';

CREATE FUNCTION behavpred_internal.report_training(run bigint) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_card('Training of the graph',
           format('%s epochs. The vectors are those of epoch %s: none before it was better on held-out edges by more than chance.', count(*), r.result ->> 'best_epoch'),
           concat(behavpred_internal.report_epochs(array_agg(l.epoch::float8 ORDER BY l.epoch), array_agg(l.loss ORDER BY l.epoch), 'loss'),
                  CASE WHEN count(l.ndcg_at_20) = count(*) THEN
                    behavpred_internal.report_epochs(array_agg(l.epoch::float8 ORDER BY l.epoch), array_agg(l.ndcg_at_20 ORDER BY l.epoch), 'NDCG@20') END))
  FROM behavpred.training_log l JOIN behavpred.runs r USING (run_id) WHERE l.run_id = run GROUP BY r.result ->> 'best_epoch'
$$;
COMMENT ON FUNCTION behavpred_internal.report_training(bigint) IS 'For report_html(): training_log of the graph''s run';

-- What tells users apart: the variance of each part of the log odds over some users, who
-- are chosen by a hash of their keys.
CREATE FUNCTION behavpred_internal.report_factors(target text, graph text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  bars text;
BEGIN
  EXECUTE (
    SELECT format($query$
      WITH parts AS (
        SELECT concat_ws(' ', e.kind, e.name) AS part, coalesce(e.name::int, 1000) AS place, var_pop(e.contribution) AS spread
        FROM (SELECT %1$I::text AS key FROM %2$s ORDER BY hashtextextended(%1$I::text, 0), 1 LIMIT 300) AS u,
          LATERAL behavpred.explain($1, u.key, 0) AS e
        WHERE e.kind IN ('factor', 'activity') GROUP BY e.kind, e.name
      ), shares AS (
        SELECT part, place, spread / nullif(sum(spread) OVER (), 0) AS share FROM parts
      )
      SELECT string_agg(format('<div class="bar"><span>%%s</span><div><i style="width:%%s%%%%"></i></div><b>%%s</b></div>',
               behavpred_internal.report_escape(part), round(100 * share::numeric, 1), behavpred_internal.report_percent(share)), '' ORDER BY place)
      FROM shares$query$, g.user_column, g.user_embeddings)
    FROM behavpred.registered_graph g WHERE g.graph = $2) INTO bars USING target;
  RETURN behavpred_internal.report_card('What tells users apart', 'Share of each factor of the network, and of how active users are, in the differences between their log odds (300 users).', coalesce(bars, ''));
EXCEPTION WHEN insufficient_privilege OR object_not_in_prerequisite_state OR undefined_table THEN
  RETURN behavpred_internal.report_card('What tells users apart', 'Not drawn: ' || SQLERRM || '.', '');
END
$$;
COMMENT ON FUNCTION behavpred_internal.report_factors(text, text) IS 'For report_html(): factors by how much they contribute, from explain()';

CREATE FUNCTION behavpred_internal.report_drift(target text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  listing text;
  worst text;
BEGIN
  SELECT behavpred_internal.report_rows('{measure,PSI,by chance,users,verdict}', array_agg(cell ORDER BY d.place, u.n)),
         ('{ok,watch,retrain}'::text[])[max(array_position('{ok,watch,retrain}', d.verdict))]
  INTO listing, worst
  FROM behavpred.check_drift(target) WITH ORDINALITY AS d (measure, reference_users, present_users, psi, by_chance, verdict, place),
    unnest(ARRAY[d.measure, behavpred_internal.card_number(d.psi), behavpred_internal.card_number(d.by_chance), behavpred_internal.card_number(d.present_users), d.verdict]) WITH ORDINALITY AS u (cell, n);
  RETURN behavpred_internal.report_card('Drift', CASE worst
    WHEN 'ok' THEN 'Users and scores are as they were when it was trained.'
    WHEN 'watch' THEN 'Something has moved since it was trained; not enough yet to train again.'
    ELSE 'What it was trained on has changed: train it again.' END, listing);
EXCEPTION WHEN insufficient_privilege OR object_not_in_prerequisite_state OR undefined_table THEN
  RETURN behavpred_internal.report_card('Drift', 'Not drawn: ' || SQLERRM || '.', '');
END
$$;
COMMENT ON FUNCTION behavpred_internal.report_drift(text) IS 'For report_html(): check_drift()';

CREATE FUNCTION behavpred_internal.report_tile(title text, number text, note text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('<div class="tile"><span>%s</span><b>%s</b><span>%s</span></div>',
                behavpred_internal.report_escape(title), coalesce(behavpred_internal.report_escape(number), 'unknown'), coalesce(behavpred_internal.report_escape(note), ''))
$$;
COMMENT ON FUNCTION behavpred_internal.report_tile(text, text, text) IS 'For report_html(): one figure at the head of the page';

CREATE FUNCTION behavpred_internal.report_tiles(facts json) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT '<div class="tiles">' || string_agg(behavpred_internal.report_tile(
             CASE m.metric WHEN 'auc' THEN 'AUC' WHEN 'pr_auc' THEN 'PR-AUC' WHEN 'lift' THEN 'Lift of the best ' || behavpred_internal.report_percent(m.at) ELSE 'Calibration error (ECE)' END,
             behavpred_internal.card_number(m.value), behavpred_internal.card_number(m.low) || ' to ' || behavpred_internal.card_number(m.high)), ''
             ORDER BY array_position('{auc,pr_auc,lift,ece}', m.metric))
    || behavpred_internal.report_tile('Base rate', behavpred_internal.report_percent((facts #>> '{sample,base_rate}')::float8), 'of ' || behavpred_internal.card_number((facts #>> '{sample,candidates}')::float8) || ' candidates')
    || behavpred_internal.report_tile('Measured on', behavpred_internal.card_number((facts #>> '{sample,test_positives}')::float8 + (facts #>> '{sample,test_negatives}')::float8),
         (facts #>> '{sample,test_positives}') || ' of them acted') || '</div>'
  FROM json_to_recordset(facts -> 'metrics') AS m (metric text, at float8, value float8, low float8, high float8)
  WHERE m.metric IN ('auc', 'pr_auc', 'ece') OR (m.metric, m.at) = ('lift', 0.05)
$$;
COMMENT ON FUNCTION behavpred_internal.report_tiles(json) IS 'For report_html(): the figures at the head of the page';

CREATE FUNCTION behavpred_internal.report_metrics(metrics json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_card('All metrics', 'With 95 % intervals, beside users ranked by their number of interactions (popularity) and the base rate for everybody (prior).',
    behavpred_internal.report_rows('{metric,value,low,high,popularity,prior}', (
      SELECT array_agg(cell ORDER BY r.place, c.n)
      FROM json_array_elements(metrics) WITH ORDINALITY AS r (m, place),
        unnest(ARRAY[CASE WHEN m ->> 'metric' IN ('auc', 'pr_auc', 'ece') THEN upper(replace(m ->> 'metric', '_', '-')) ELSE replace(m ->> 'metric', '_', ' ') END || coalesce(' of the best ' || behavpred_internal.report_percent((m ->> 'at')::float8), ''), behavpred_internal.card_text(m -> 'value'),
                     m #>> '{low}', m #>> '{high}', m #>> '{popularity}', m #>> '{prior}']) WITH ORDINALITY AS u (raw, n),
        LATERAL (SELECT u.n, CASE WHEN u.n > 2 THEN behavpred_internal.card_number(u.raw::float8) ELSE u.raw END AS cell) AS c)))
$$;
COMMENT ON FUNCTION behavpred_internal.report_metrics(json) IS 'For report_html(): evaluate() as a table';

CREATE FUNCTION behavpred_internal.report_facts(title text, facts json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('<h3>%s</h3><table class="facts">%s</table>', behavpred_internal.report_escape(title),
    string_agg(format('<tr><th>%s</th><td>%s</td></tr>', replace(f.key, '_', ' '), behavpred_internal.report_escape(coalesce(behavpred_internal.card_text(f.value), 'none'))), '' ORDER BY f.place))
  FROM json_each(facts) WITH ORDINALITY AS f (key, value, place)
$$;
COMMENT ON FUNCTION behavpred_internal.report_facts(text, json) IS 'For report_html(): a part of the model card';

CREATE FUNCTION behavpred_internal.report_model_card(facts json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_card('Model card', 'What it was made of, so that it can be made again.',
    '<div class="columns">' || string_agg(format('<div>%s</div>', behavpred_internal.report_facts(p.title, facts -> p.part)), '') || '</div>')
  FROM unnest('{model,data,sample,graph_training,target_training}'::text[],
              '{Model,Data,Sample,Training of the graph,Training of the target}'::text[]) AS p (part, title)
$$;
COMMENT ON FUNCTION behavpred_internal.report_model_card(json) IS 'For report_html(): model_card()';

CREATE FUNCTION behavpred_internal.report_limits(limits json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_card('Limits', 'To know before relying on it.',
    '<ul>' || string_agg('<li>' || behavpred_internal.report_escape(line) || '</li>', '' ORDER BY place) || '</ul>')
  FROM json_array_elements_text(limits) WITH ORDINALITY AS l (line, place)
$$;
COMMENT ON FUNCTION behavpred_internal.report_limits(json) IS 'For report_html(): what the model cannot do';

CREATE FUNCTION behavpred_internal.report_style() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT $style$
:root { color-scheme: light dark; --page: #f4f6f8; --card: #fff; --ink: #18212d; --soft: #566273; --line: #dde2e8; --first: #1a66d6; --second: #c4501b; --band: #1a66d633; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0e1318; --card: #171e26; --ink: #e8ecf1; --soft: #a3aebb; --line: #2c3642; --first: #6fb1ff; --second: #ff9f66; --band: #6fb1ff33; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 4px; }
h3 { font-size: .95rem; margin: 16px 0 4px; }
p { margin: 0 0 12px; color: var(--soft); overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0; }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 12px 14px; display: flex; flex-direction: column; }
.tile b { font-size: 1.6rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .82rem; }
.cards { margin-bottom: 16px; }
.card { padding: 18px; margin-bottom: 16px; break-inside: avoid; }
@media (min-width: 820px) { .cards, .columns { columns: 2; column-gap: 16px; } }
.columns > div { break-inside: avoid; }
.columns > div:first-child h3 { margin-top: 0; }
svg { display: block; width: 100%; max-width: 520px; height: auto; margin: 0 auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 12.5px; }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); }
polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
.first { stroke: var(--first); } .second { stroke: var(--second); }
.reference { stroke: var(--soft); stroke-dasharray: 4 4; stroke-width: 1.3; }
.whisker { stroke: var(--first); stroke-width: 1.5; opacity: .6; }
.dot { fill: var(--first); }
.band, .area { fill: var(--band); stroke: none; } .area.second { fill: color-mix(in srgb, var(--second) 18%, transparent); }
.legend { display: flex; flex-wrap: wrap; justify-content: center; gap: 4px 18px; font-size: .85rem; margin: 4px 0 12px; }
.legend i { display: inline-block; width: 18px; height: 0; border-top: 3px solid var(--soft); margin-right: 6px; vertical-align: middle; }
.legend i.first { border-color: var(--first); } .legend i.second { border-color: var(--second); } .legend i.reference { border-top-style: dashed; border-top-width: 2px; }
.legend i.band { border-top: 12px solid var(--band); } .legend i.whisker { border-color: var(--first); opacity: .6; border-top-width: 2px; }
.legend i.dot { width: 9px; height: 9px; border: 0; border-radius: 50%; background: var(--first); }
.wide { overflow-x: auto; } .wide td { white-space: nowrap; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 8px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child, .facts th, .facts td { text-align: left; }
.facts th { width: 38%; font-weight: 400; } .facts td { overflow-wrap: anywhere; }
.bar { display: grid; grid-template-columns: 5.5em 1fr 4em; gap: 10px; align-items: center; margin: 8px 0; font-size: .9rem; }
.bar > div { background: var(--page); border-radius: 4px; } .bar i { display: block; height: 14px; border-radius: 4px; background: var(--first); min-width: 2px; }
.bar b { text-align: right; font-variant-numeric: tabular-nums; }
@media (max-width: 500px) { svg text { font-size: 14px; } .wide table { font-size: .74rem; } .wide th, .wide td { padding: 4px 3px; white-space: normal; } }
ul { margin: 0; padding-left: 1.2em; } li { margin: 6px 0; }
footer { color: var(--soft); font-size: .85rem; margin-top: 20px; }
$style$
$$;
COMMENT ON FUNCTION behavpred_internal.report_style() IS 'For report_html(): how the page looks, by light and by dark, on phones and on desks';

CREATE FUNCTION report_html(target text, version int DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  facts json := behavpred_internal.card_facts(target, version);
  chosen int := facts #>> '{model,version}';
  name text := behavpred_internal.report_escape(target);
  deployed boolean := facts #>> '{model,deployed}';
BEGIN
  RETURN concat(
    E'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n',
    E'<meta http-equiv="Content-Security-Policy" content="default-src ''none''; style-src ''unsafe-inline''">\n',
    format(E'<title>%s, version %s</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n<h1>%1$s</h1>\n', name, chosen, behavpred_internal.report_style()),
    format(E'<p>Version %s%s, trained %s on graph %s</p>\n', chosen, CASE WHEN deployed THEN ' (deployed)' ELSE '' END,
           behavpred_internal.card_text(facts #> '{model,trained_at}'), behavpred_internal.report_escape(facts #>> '{model,graph}')),
    behavpred_internal.report_tiles(facts), E'\n<div class="cards">\n',
    CASE WHEN deployed THEN behavpred_internal.report_audience(target) END,
    CASE WHEN json_array_length(facts #> '{calibration,bins}') > 0 THEN behavpred_internal.report_test_part(target, chosen, facts) END,
    CASE WHEN deployed THEN behavpred_internal.report_factors(target, facts #>> '{model,graph}') END,
    CASE WHEN deployed THEN behavpred_internal.report_drift(target) END,
    behavpred_internal.report_training((facts #>> '{graph_training,run_id}')::bigint),
    behavpred_internal.report_metrics(facts -> 'metrics'),
    behavpred_internal.report_limits(facts -> 'limits'),
    E'</div>\n', behavpred_internal.report_model_card(facts),
    format(E'<footer>%s, %s</footer>\n</main>\n</body>\n</html>\n', behavpred_internal.report_escape(facts #>> '{model,software}'), to_char(now(), 'YYYY-MM-DD HH24:MI TZ')));
END
$$;
COMMENT ON FUNCTION report_html(text, int) IS
E'A page of HTML about a target''s model: audience curve with its interval, ROC, calibration, scores, factors, drift, training, metrics, limits and model card. It needs no network and runs no script; light and dark, phone and desk. version: default the deployed one, else the latest; audience, factors and drift are drawn for the deployed one only. Write it to a file by psql: \\pset format unaligned, \\pset tuples_only on, \\o report.html';
