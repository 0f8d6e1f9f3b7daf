-- ---------------------------------------------------------------------------
-- Change capture: which users and objects have new interactions, have lost some, or have other features
-- ---------------------------------------------------------------------------

CREATE TABLE change_capture (
  graph text PRIMARY KEY REFERENCES registered_graph ON DELETE CASCADE,
  owner name NOT NULL DEFAULT current_user,
  mode text NOT NULL CHECK (mode IN ('time', 'statement', 'row')),
  captured_since timestamptz NOT NULL DEFAULT now(),
  overlap interval NOT NULL,
  watermark timestamptz
);

-- Writers of interactions add rows and never touch others': a unique key would let writers of
-- the same user wait for each other, and a foreign key all of them lock the row of the graph. Keys are distinct within
-- a row; the reader joins rows.
CREATE TABLE changed_nodes (
  entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  graph text NOT NULL,
  owner name NOT NULL DEFAULT current_user,
  queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
  users text[],
  objects text[]
);

CREATE INDEX changed_nodes_graph ON changed_nodes (graph, entry);

COMMENT ON TABLE change_capture IS 'Graphs whose changes are captured, and how';
COMMENT ON SEQUENCE changed_nodes_entry_seq IS 'Numbers of entries, in their order';
COMMENT ON TABLE changed_nodes IS
'Queue of changes: keys of users and objects as text, up to 1,000 of either in a row; a row with neither stands for all. Written by triggers, emptied by run_refresh() and by trainings';
COMMENT ON INDEX changed_nodes_graph IS 'The queue of one graph, oldest first';

GRANT SELECT, INSERT, UPDATE, DELETE ON change_capture, changed_nodes TO PUBLIC;

ALTER TABLE change_capture ENABLE ROW LEVEL SECURITY;
ALTER TABLE changed_nodes ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON change_capture USING (owner = current_user);
CREATE POLICY own_rows ON changed_nodes USING (owner = current_user);
CREATE POLICY granted_training ON change_capture USING (behavpred_internal.privilege_on(owner, graph, NULL) >= 3);
CREATE POLICY granted_training ON changed_nodes USING (behavpred_internal.privilege_on(owner, graph, NULL) >= 3);

COMMENT ON POLICY own_rows ON change_capture IS 'Every role sees and changes its own graphs';
COMMENT ON POLICY own_rows ON changed_nodes IS 'Every role sees and changes the queues of its own graphs';
COMMENT ON POLICY granted_training ON change_capture IS 'Trainers refresh for the owner';
COMMENT ON POLICY granted_training ON changed_nodes IS 'Trainers refresh for the owner';

SELECT pg_extension_config_dump('change_capture', '');
SELECT pg_extension_config_dump('changed_nodes', '');
SELECT pg_extension_config_dump('changed_nodes_entry_seq', '');

-- The interactions that count for a graph, as a condition on rows called `source`.
CREATE FUNCTION behavpred_internal.capture_filter(g registered_graph, relation regclass, source text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT concat_ws(' AND ',
    format('%1$s.%2$I IS NOT NULL AND %1$s.%3$I IS NOT NULL', source, g.user_column, g.object_column),
    CASE WHEN g.behavior_column IS NOT NULL
         THEN format('%s.%I::text = ANY (%L::text[])', source, g.behavior_column, g.behaviors) END,
    CASE WHEN g.value_column IS NOT NULL
         THEN format(CASE WHEN t.typcategory = 'T' THEN 'extract(epoch FROM %s.%I) >= %L::float8' ELSE '%s.%I >= %L::float8' END,
                     source, g.value_column, g.min_value) END)
  FROM (SELECT 1) one
  LEFT JOIN pg_attribute a ON a.attrelid = relation AND a.attname = g.value_column
  LEFT JOIN pg_type t ON t.oid = a.atttypid
$$;

COMMENT ON FUNCTION behavpred_internal.capture_filter(registered_graph, regclass, text) IS
'For capture_changes(): the condition for rows that are interactions of a graph';

-- What a graph is read from: its interactions, and the feature tables that it has.
CREATE FUNCTION behavpred_internal.capture_sources(g registered_graph, OUT source text, OUT name text, OUT relation regclass)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT s.source, s.name, behavpred_internal.relation_named(s.name)
  FROM (VALUES ('interactions', g.interactions), ('users', g.users), ('objects', g.objects)) AS s (source, name)
  WHERE s.name IS NOT NULL
$$;

COMMENT ON FUNCTION behavpred_internal.capture_sources(registered_graph) IS
'For capture_changes(): the relations that a graph is read from, NULL for one that is gone';

CREATE FUNCTION behavpred_internal.feature_key(relation regclass, key_column name, key_type text, argument text) RETURNS name
AS 'MODULE_PATHNAME', 'behavpred_feature_key' LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION behavpred_internal.feature_key(regclass, name, text, text) IS
'For capture_changes(): the column of a feature table that holds the keys';

-- The columns that decide what a row is worth, keys first: a change of any other changes nothing.
CREATE FUNCTION behavpred_internal.capture_columns(g registered_graph, source text, relation regclass) RETURNS name[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT ARRAY(
    SELECT c.name FROM unnest(CASE source
      WHEN 'users' THEN behavpred_internal.feature_key(relation, g.user_column, g.user_key_type, source) || g.user_features
      WHEN 'objects' THEN behavpred_internal.feature_key(relation, g.object_column, g.object_key_type, source) || g.object_features
      ELSE ARRAY[g.user_column, g.object_column, g.behavior_column, g.value_column, g.weight_column,
                 CASE WHEN g.since IS NOT NULL THEN g.time_column END]
    END) WITH ORDINALITY AS c (name, place)
    WHERE c.name IS NOT NULL GROUP BY c.name ORDER BY min(c.place))
$$;

COMMENT ON FUNCTION behavpred_internal.capture_columns(registered_graph, text, regclass) IS
'For capture_changes(): the columns whose updates matter, keys first';

-- The rows that count, as a condition on rows called `alias`. A feature table may be keyed by a wider type than
-- the graph: a key that its vectors have no room for is nobody's.
CREATE FUNCTION behavpred_internal.capture_condition(g registered_graph, source text, relation regclass, columns name[], alias text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE
    WHEN source = 'interactions' THEN behavpred_internal.capture_filter(g, relation, alias)
    ELSE format(CASE CASE source WHEN 'users' THEN g.user_key_type ELSE g.object_key_type END
                  WHEN 'smallint' THEN '%s.%I BETWEEN -32768 AND 32767'
                  WHEN 'integer' THEN '%s.%I BETWEEN -2147483648 AND 2147483647'
                  ELSE '%s.%I IS NOT NULL' END, alias, columns[1]) END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_condition(registered_graph, text, regclass, name[], text) IS
'For capture_changes(): the condition for rows of a source that count for a graph';

-- The keys of users and of objects in a row, each put into a pattern with %I.
CREATE FUNCTION behavpred_internal.capture_keys(source text, columns name[], pattern text) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT concat_ws(', ', CASE source WHEN 'objects' THEN 'NULL' ELSE format(pattern, columns[1]) END,
    CASE source WHEN 'users' THEN 'NULL' WHEN 'objects' THEN format(pattern, columns[1]) ELSE format(pattern, columns[2]) END)
$$;

COMMENT ON FUNCTION behavpred_internal.capture_keys(text, name[], text) IS
'For capture_changes(): the two expressions of a row''s keys, users first';

CREATE FUNCTION behavpred_internal.queue_changes(graph text, changed refcursor) RETURNS void
AS 'MODULE_PATHNAME', 'behavpred_queue_changes' LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION behavpred_internal.queue_changes(text, refcursor) IS
'For capture_changes(): puts the distinct keys of a cursor''s rows, users in the first column and objects in the second, into the queue, a thousand in a row';

-- What queues one statement's changed rows, which are read once.
CREATE FUNCTION behavpred_internal.capture_rows(graph text, keys text, changed text, condition text) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format($statement$
      OPEN changed NO SCROLL FOR SELECT %2$s FROM %3$s x WHERE %4$s;
      PERFORM behavpred_internal.queue_changes(%1$L, changed);
      CLOSE changed;$statement$, graph, keys, changed, condition)
$$;

COMMENT ON FUNCTION behavpred_internal.capture_rows(text, text, text, text) IS
'For capture_changes(): the statement that queues the keys of changed rows';

-- What is done with the changes of one source.
CREATE FUNCTION behavpred_internal.capture_branch(g registered_graph, source text, relation regclass, mode text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE mode WHEN 'row' THEN format($branch$
    IF TG_OP <> 'INSERT' AND %2$s THEN
      INSERT INTO behavpred.changed_nodes (graph, users, objects) VALUES (%1$L, %3$s);
    END IF;
    IF TG_OP <> 'DELETE' AND %4$s THEN
      INSERT INTO behavpred.changed_nodes (graph, users, objects) VALUES (%1$L, %5$s);
    END IF;$branch$, g.graph,
    behavpred_internal.capture_condition(g, source, relation, c.columns, 'OLD'),
    behavpred_internal.capture_keys(source, c.columns, 'ARRAY[OLD.%I::text]'),
    behavpred_internal.capture_condition(g, source, relation, c.columns, 'NEW'),
    behavpred_internal.capture_keys(source, c.columns, 'ARRAY[NEW.%I::text]'))
  ELSE format($branch$
    IF TG_OP = 'INSERT' THEN%1$s
    ELSIF TG_OP = 'DELETE' THEN%2$s
    ELSE%3$s
    END IF;$branch$,
    behavpred_internal.capture_rows(g.graph, c.keys, 'new_rows', c.condition),
    behavpred_internal.capture_rows(g.graph, c.keys, 'old_rows', c.condition),
    behavpred_internal.capture_rows(g.graph, c.keys, format(
      '((SELECT %1$s FROM old_rows EXCEPT ALL SELECT %1$s FROM new_rows) UNION ALL '
      '(SELECT %1$s FROM new_rows EXCEPT ALL SELECT %1$s FROM old_rows))', c.list), c.condition)) END
  FROM (SELECT n.columns, behavpred_internal.capture_keys(source, n.columns, 'x.%I') AS keys,
               behavpred_internal.capture_condition(g, source, relation, n.columns, 'x') AS condition,
               (SELECT string_agg(CASE WHEN name = g.behavior_column THEN format('%1$I::text AS %1$I', name)
                                       ELSE quote_ident(name) END, ', ') FROM unnest(n.columns) name) AS list
        FROM (SELECT behavpred_internal.capture_columns(g, source, relation)) AS n (columns)) c
$$;

COMMENT ON FUNCTION behavpred_internal.capture_branch(registered_graph, text, regclass, text) IS
'For capture_changes(): the statements that queue the changes of one source';

-- What the triggers of a graph call, with the source that changed as their argument. The function belongs to the
-- owner of the graph and runs as him, not as whoever writes: writers need no privilege on the queue, and types or casts of
-- the table run as the one who registered it. A column that is gone must not stop the writers.
CREATE FUNCTION behavpred_internal.capture_body(g registered_graph, sources text[], mode text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format($function$
%1$sBEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO behavpred.changed_nodes (graph) VALUES (%2$L);
    RETURN NULL;
  END IF;
  CASE TG_ARGV[0]%3$s
  END CASE;
  RETURN NULL;
%4$sEND
$function$, CASE mode WHEN 'statement' THEN E'DECLARE\n  changed refcursor;\n' END, g.graph,
    (SELECT string_agg(format(E'\n  WHEN %L THEN', s.source) || behavpred_internal.capture_branch(g, s.source, s.relation, mode), '')
     FROM behavpred_internal.capture_sources(g) s WHERE s.source = ANY (sources)),
    CASE mode WHEN 'statement' THEN format($handler$EXCEPTION WHEN undefined_column OR undefined_table OR undefined_function OR datatype_mismatch THEN
  RAISE WARNING USING message = format('changes of %%s are not captured: %%s', TG_RELID::regclass, SQLERRM),
    hint = %L;
  RETURN NULL;
$handler$, format('As %I: SELECT behavpred.capture_changes(%L, %L);', g.owner, g.graph, mode)) END)
$$;

COMMENT ON FUNCTION behavpred_internal.capture_body(registered_graph, text[], text) IS
'For capture_changes(): the source of the function that the triggers of a graph call';

-- The table and, because triggers for statements fire for the relation that is named in
-- them only, every partition and every table that inherits from it. Triggers for rows are cloned by the server.
CREATE FUNCTION behavpred_internal.capture_relations(relation regclass, mode text) RETURNS SETOF regclass
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE tree (relation, partitioned) AS (
    SELECT c.oid, c.relkind = 'p' FROM pg_class c WHERE c.oid = $1
    UNION
    SELECT c.oid, t.partitioned FROM tree t JOIN pg_inherits i ON i.inhparent = t.relation JOIN pg_class c ON c.oid = i.inhrelid)
  SELECT t.relation::regclass FROM tree t JOIN pg_class c ON c.oid = t.relation
  WHERE c.relkind IN ('r', 'p') ORDER BY t.relation <> $1, t.relation::regclass::text
$$;

COMMENT ON FUNCTION behavpred_internal.capture_relations(regclass, text) IS
'For capture_changes(): the relations that need triggers of their own';

-- The triggers of a mode on one relation, dropped with the extension. The name of the source stands last, where no
-- other graph's name can lead to the same.
CREATE FUNCTION behavpred_internal.capture_attach(
  g registered_graph, source text, relation regclass, columns name[], mode text, function regproc) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  kind record;
  trigger name;
BEGIN
  FOR kind IN
    SELECT * FROM (VALUES
      ('insert', 'statement', 'INSERT', 'REFERENCING NEW TABLE AS new_rows', 'STATEMENT'),
      ('update', 'statement', 'UPDATE', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows', 'STATEMENT'),
      ('delete', 'statement', 'DELETE', 'REFERENCING OLD TABLE AS old_rows', 'STATEMENT'),
      ('row', 'row', (SELECT 'INSERT OR DELETE OR UPDATE OF ' || string_agg(quote_ident(c), ', ') FROM unnest($4) c), '', 'ROW'),
      ('truncate', $5, 'TRUNCATE', '', 'STATEMENT')) AS k (name, mode, events, tables, level)
    WHERE k.mode = $5
  LOOP
    trigger := format('behavpred_%s_%s%s', g.graph, kind.name, CASE WHEN $2 <> 'interactions' THEN '_' || $2 END);
    -- The server has cloned the trigger for rows from the parent.
    CONTINUE WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = $3 AND t.tgname = trigger AND t.tgparentid <> 0);
    EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH %s EXECUTE FUNCTION %s(%L)',
                   trigger, kind.events, $3, kind.tables, kind.level, function, $2);
    EXECUTE format('ALTER TRIGGER %I ON %s DEPENDS ON EXTENSION behavpred', trigger, $3);
    -- On a subscriber only such triggers fire.
    EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', $3, trigger);
  END LOOP;
END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_attach(registered_graph, text, regclass, name[], text, regproc) IS
'For capture_changes(): the triggers of a graph on one relation';

-- The function of a graph's triggers, and with it the triggers, on whichever tables they are.
CREATE FUNCTION behavpred_internal.drop_capture(graph text, keep_queue boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
#variable_conflict use_variable
DECLARE
  function regprocedure;
BEGIN
  FOR function IN
    SELECT p.oid FROM pg_proc p
    JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'x'
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'behavpred'
    WHERE p.proname = graph || '_capture' AND pg_has_role(p.proowner, 'USAGE')
  LOOP
    EXECUTE format('DROP FUNCTION %s CASCADE', function);
  END LOOP;
  DELETE FROM behavpred.changed_nodes n WHERE n.graph = graph AND n.owner = current_user AND NOT keep_queue;
  DELETE FROM behavpred.change_capture c WHERE c.graph = graph AND c.owner = current_user;
END
$$;

COMMENT ON FUNCTION behavpred_internal.drop_capture(text, boolean) IS
'For capture_changes() and drop_graph(): end the capture of a graph of yours, with its triggers and, unless keep_queue, its queue';

-- Why there can be no triggers of the caller's on a relation, NULL when there can.
CREATE FUNCTION behavpred_internal.capture_obstacle(name text, relation regclass, OUT code text, OUT message text, OUT detail text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  kind "char";
  owned boolean;
  distributed boolean := false;
BEGIN
  SELECT c.relkind, pg_has_role(c.relowner, 'USAGE') INTO kind, owned FROM pg_class c WHERE c.oid = relation;
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    EXECUTE 'SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE logicalrelid = $1)' INTO distributed USING relation;
  END IF;
  IF kind IS NULL THEN
    code := 'undefined_table';
    message := format('relation %s does not exist any more', name);
    detail := 'It has been dropped or renamed.';
  ELSIF kind NOT IN ('r', 'p') OR distributed THEN
    code := 'wrong_object_type';
    message := format(CASE WHEN distributed THEN '%s is distributed over servers' ELSE '%s is not a table' END, name);
    detail := 'Triggers see the changes of tables of this server only.';
  ELSIF NOT owned THEN
    code := 'insufficient_privilege';
    message := format('must be owner of table %s', name);
    detail := 'Triggers are created on it.';
  END IF;
END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_obstacle(text, regclass) IS
'For capture_changes(): why a relation cannot be captured by triggers, as parts of an error; NULL when it can';

-- The graph, whose owner must be the caller, and a mode that suits its interactions.
CREATE FUNCTION behavpred_internal.check_capture(graph text, mode text, overlap interval) RETURNS registered_graph
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  g behavpred.registered_graph;
  obstacle record;
BEGIN
  IF NOT coalesce(mode = ANY ('{none,time,statement,row}'), false) THEN
    RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
      message = CASE WHEN mode IS NULL THEN 'mode must not be NULL' ELSE format('mode is "%s"', mode) END,
      detail = 'It is none, time, statement or row.',
      hint = format('SELECT behavpred.capture_changes(%L, ''statement'');', coalesce(graph, 'shop'));
  END IF;
  g := behavpred_internal.graph_named(graph);
  IF g.owner <> current_user THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = format('graph "%s" is owned by "%s"', graph, g.owner),
      detail = 'Its changes are captured as its owner.', hint = format('SET ROLE %I;', g.owner);
  END IF;
  IF mode = 'none' THEN
    RETURN g;
  END IF;
  obstacle := behavpred_internal.capture_obstacle(g.interactions, behavpred_internal.relation_named(g.interactions));
  IF obstacle.code = 'undefined_table' OR mode <> 'time' AND obstacle.code IS NOT NULL THEN
    RAISE EXCEPTION USING errcode = obstacle.code, message = obstacle.message, detail = obstacle.detail,
      hint = format(CASE obstacle.code
        WHEN 'undefined_table' THEN 'Give the relation its name back, or create the graph anew.'
        WHEN 'wrong_object_type' THEN 'By the time of interactions: SELECT behavpred.capture_changes(%L, ''time'');'
        ELSE 'Its owner creates the graph, or: SELECT behavpred.capture_changes(%L, ''time'');' END, graph);
  END IF;
  IF mode = 'time' THEN
    IF g.time_column IS NULL THEN
      RAISE EXCEPTION USING errcode = 'object_not_in_prerequisite_state',
        message = format('graph "%s" has no time_column', graph),
        detail = 'Mode time finds changes by the time of interactions.',
        hint = 'Create the graph with time_column => ..., or capture by statement.';
    END IF;
    IF overlap IS NULL OR overlap < interval '0' THEN
      RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
        message = CASE WHEN overlap IS NULL THEN 'overlap must not be NULL' ELSE format('overlap is %s', overlap) END,
        detail = 'It is how much later than its time a row may be committed, from 0 on.',
        hint = 'Leave it out for 5 minutes.';
    END IF;
  END IF;
  RETURN g;
END
$$;

COMMENT ON FUNCTION behavpred_internal.check_capture(text, text, interval) IS
'For capture_changes(): complains about a graph or a mode that cannot be captured';

-- The sources of a graph that can have triggers, locked: nobody adds a row between the look at a table and the first trigger.
CREATE FUNCTION behavpred_internal.capture_lock(g registered_graph) RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  s record;
  obstacle record;
  sources text[] := '{}';
BEGIN
  FOR s IN SELECT * FROM behavpred_internal.capture_sources(g) LOOP
    obstacle := behavpred_internal.capture_obstacle(s.name, s.relation);
    IF obstacle.code IS NULL THEN
      EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', s.relation);
      sources := sources || s.source;
    ELSE
      RAISE WARNING USING errcode = obstacle.code, message = format('features of %s are not captured: %s', s.source, obstacle.message),
        detail = obstacle.detail,
        hint = format('After a change of them: SELECT * FROM behavpred.refresh(%L, %s => ''{...}'');', g.graph, s.source);
    END IF;
  END LOOP;
  RETURN sources;
END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_lock(registered_graph) IS
'For capture_changes(): locks the sources of a graph that can have triggers, returns which, and warns of feature tables that cannot';

-- All triggers of one source. Returns the relations that have some now.
CREATE FUNCTION behavpred_internal.capture_source(g registered_graph, source text, relation regclass, mode text, function regproc)
RETURNS regclass[]
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  relations regclass[] := ARRAY(SELECT behavpred_internal.capture_relations(relation, mode));
  columns name[] := behavpred_internal.capture_columns(g, source, relation);
  each regclass;
BEGIN
  FOREACH each IN ARRAY relations LOOP
    PERFORM behavpred_internal.capture_attach(g, source, each, columns, mode, function);
  END LOOP;
  IF mode = 'statement' AND EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = ANY (relations)) THEN
    RAISE WARNING USING message = format('rows that replication brings into %s are not captured', relation),
      detail = 'A subscription applies them row by row, and triggers for statements do not fire.',
      hint = format('SELECT behavpred.capture_changes(%L, ''row'');', g.graph);
  END IF;
  RETURN relations;
END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_source(registered_graph, text, regclass, text, regproc) IS
'For capture_changes(): the triggers of one source of a graph, on its table and all partitions';

-- The function that the triggers call, in the schema of the interactions.
CREATE FUNCTION behavpred_internal.capture_function(g registered_graph, sources text[], mode text) RETURNS regproc
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  function text;
  propagates text;
BEGIN
  SELECT format('%I.%I', n.nspname, g.graph || '_capture') INTO function
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = behavpred_internal.relation_named(g.interactions);
  -- Where Citus sends functions to its workers, they may not depend on an extension.
  propagates := current_setting('citus.enable_ddl_propagation', true);
  IF propagates IS NOT NULL THEN
    PERFORM set_config('citus.enable_ddl_propagation', 'off', true);
  END IF;
  EXECUTE format('CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L',
                 function, behavpred_internal.capture_body(g, sources, mode));
  EXECUTE format('REVOKE EXECUTE ON FUNCTION %s() FROM PUBLIC', function);
  EXECUTE format('ALTER FUNCTION %s() DEPENDS ON EXTENSION behavpred', function);
  EXECUTE format('COMMENT ON FUNCTION %s() IS %L', function, format('Queues the changes of graph "%s"', g.graph));
  IF propagates IS NOT NULL THEN
    PERFORM set_config('citus.enable_ddl_propagation', propagates, true);
  END IF;
  RETURN function::regproc;
END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_function(registered_graph, text[], text) IS
'For capture_changes(): makes the function that the triggers of a graph call';

CREATE FUNCTION capture_changes(graph text, mode text DEFAULT 'statement', overlap interval DEFAULT '5 minutes')
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  g behavpred.registered_graph := behavpred_internal.check_capture(graph, mode, overlap);
  sources text[];
  function regproc;
  relations bigint := 0;
  latest timestamptz;
BEGIN
  PERFORM behavpred_internal.drop_capture(graph, mode <> 'none');
  IF mode = 'none' THEN
    RETURN 0;
  END IF;
  IF mode = 'time' THEN
    -- What is loaded tonight may be of yesterday: the latest row counts, not the clock.
    EXECUTE format('SELECT least(max(%I)::timestamptz, now()) FROM %s', g.time_column,
                   behavpred_internal.relation_named(g.interactions)) INTO latest;
  ELSE
    sources := behavpred_internal.capture_lock(g);
    function := behavpred_internal.capture_function(g, sources, mode);
    SELECT count(DISTINCT r.relation) INTO relations
    FROM behavpred_internal.capture_sources(g) s
    CROSS JOIN LATERAL unnest(behavpred_internal.capture_source(g, s.source, s.relation, mode, function)) AS r (relation)
    WHERE s.source = ANY (sources);
  END IF;
  INSERT INTO behavpred.change_capture (graph, mode, overlap, watermark)
  VALUES (graph, mode, overlap, latest);
  RETURN relations;
END
$$;

COMMENT ON FUNCTION capture_changes(text, text, interval) IS
'Queue the users and objects of a graph whose interactions or features change from now on, for run_refresh(). For the owner of the graph, who for statement and row must own the table of interactions; feature tables that he does not own, and those that are views or foreign tables, are passed over with a warning.
mode: statement (default): triggers for each statement, which see INSERT, COPY, UPDATE of the columns that count, DELETE, TRUNCATE and MERGE, on the table and each of its partitions (call it again for partitions that come later); row: a trigger for each row, which also sees rows that logical replication applies, at several times the cost; time: no trigger, run_refresh() looks for rows by time_column, which also works for views and foreign tables, and misses changes of features, deleted rows, changes of old rows, and rows committed later than overlap after their time; none: end it. overlap: for time, from 0 on.
Result: the number of relations that have triggers. What changed before is not captured: it is in the next training.';

REVOKE EXECUTE ON FUNCTION capture_changes(text, text, interval) FROM PUBLIC;

-- Partitions and heirs that came after capture_changes(), and feature tables that have no triggers.
CREATE FUNCTION behavpred_internal.uncaptured_relations(graph text) RETURNS regclass[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(array_agg(DISTINCT r.relation), '{}')
  FROM behavpred.registered_graph g
  JOIN behavpred.change_capture c ON c.graph = g.graph AND c.owner = g.owner
  CROSS JOIN LATERAL behavpred_internal.capture_sources(g) s
  CROSS JOIN LATERAL (SELECT s.relation UNION SELECT behavpred_internal.capture_relations(s.relation, c.mode)) r (relation)
  WHERE g.graph = $1 AND r.relation IS NOT NULL AND NOT (c.mode = 'time' AND s.source = 'interactions') AND NOT EXISTS (
    SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = r.relation AND p.proname = g.graph || '_capture' AND t.tgenabled IN ('A', 'O')
      AND t.tgargs = s.source::bytea || '\x00'::bytea AND (t.tgtype & 1 = 1) = (c.mode = 'row'))
$$;

COMMENT ON FUNCTION behavpred_internal.uncaptured_relations(text) IS
'For the view freshness: relations of a captured graph whose changes are missed';

CREATE VIEW freshness AS
SELECT g.graph, g.owner, coalesce(c.mode, 'none') AS capture, c.captured_since, c.watermark,
       q.oldest, q.entries, q.users, q.objects, q.everything,
       behavpred_internal.uncaptured_relations(g.graph) AS uncaptured, r.finished_at AS trained_at
FROM registered_graph g
LEFT JOIN change_capture c ON c.graph = g.graph AND c.owner = g.owner
LEFT JOIN training_run r ON r.run_id = g.trained_run
CROSS JOIN LATERAL (
  SELECT min(n.queued_at) AS oldest, count(*) AS entries,
         (SELECT count(DISTINCT k) FROM changed_nodes m CROSS JOIN LATERAL unnest(m.users) k WHERE m.graph = g.graph AND m.owner = g.owner) AS users,
         (SELECT count(DISTINCT k) FROM changed_nodes m CROSS JOIN LATERAL unnest(m.objects) k WHERE m.graph = g.graph AND m.owner = g.owner) AS objects,
         coalesce(bool_or(n.users IS NULL AND n.objects IS NULL), false) AS everything
  FROM changed_nodes n WHERE n.graph = g.graph AND n.owner = g.owner) q
WHERE behavpred_internal.sees_target(g.owner, g.graph, NULL, 3);

COMMENT ON VIEW freshness IS
'How fresh the vectors of your graphs are: how changes are captured and since when, up to which time mode time has looked; the queue: its oldest entry, distinct users and objects, everything when the table was truncated; uncaptured: relations whose changes are missed (call capture_changes() again, unless they are features that no trigger can see); the last training';
