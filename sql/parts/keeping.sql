-- ---------------------------------------------------------------------------
-- Keeping: grants to other roles, change of owner
-- ---------------------------------------------------------------------------

-- A relation by its quoted name in the catalog tables. Unlike to_regclass() it does not
-- fail for want of USAGE on the schema, nor for what somebody has written there by hand.
CREATE FUNCTION behavpred_internal.relation_named(name text) RETURNS regclass
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE (n.nspname, c.relname) = (
    SELECT part[1]::name, part[2]::name
    FROM (SELECT CASE WHEN name ~ E'^("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)\\.("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)$'
                 THEN parse_ident(name) END) AS parsed (part))
$$;

COMMENT ON FUNCTION behavpred_internal.relation_named(text) IS
'For the views: the relation of a quoted, schema-qualified name, NULL when there is none';

-- The graph of that name, as far as the caller may see it.
CREATE FUNCTION behavpred_internal.graph_named(graph text) RETURNS registered_graph
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  g behavpred.registered_graph;
BEGIN
  SELECT * INTO g FROM behavpred.registered_graph r WHERE r.graph = $1;
  IF g.graph IS NULL THEN
    RAISE EXCEPTION USING errcode = CASE WHEN $1 IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN $1 IS NULL THEN 'graph must not be NULL' ELSE format('graph "%s" does not exist', $1) END,
      hint = 'Your graphs: SELECT * FROM behavpred.graphs;';
  END IF;
  RETURN g;
END
$$;

COMMENT ON FUNCTION behavpred_internal.graph_named(text) IS 'For functions with a graph: its definition; complains about a name that is none';

-- The graph and target that a grant names, for its owner.
CREATE FUNCTION behavpred_internal.grant_object(kind text, name text, OUT graph text, OUT target text, OUT owner name)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  IF kind IS DISTINCT FROM 'graph' AND kind IS DISTINCT FROM 'target' THEN
    RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
      message = CASE WHEN kind IS NULL THEN 'kind must not be NULL' ELSE format('kind is "%s"', kind) END,
      detail = 'It is graph, for the graph and all its targets, or target.',
      hint = format('SELECT behavpred.grant_on(''target'', %L, ''predict'', ''some_role'');', coalesce(name, 'buys_42'));
  END IF;
  IF kind = 'graph' THEN
    SELECT g.graph, g.owner INTO graph, owner FROM behavpred.registered_graph g WHERE g.graph = name;
  ELSE
    SELECT t.graph, t.target, t.owner INTO graph, target, owner
    FROM behavpred.registered_target t WHERE t.target = name;
  END IF;
  IF owner IS NULL THEN
    RAISE EXCEPTION USING errcode = CASE WHEN name IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN name IS NULL THEN 'name must not be NULL' ELSE format('%s "%s" does not exist', kind, name) END,
      hint = format('Yours: SELECT * FROM behavpred.%ss;', kind);
  END IF;
  IF NOT behavpred_internal.sees_rows_of(owner) THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = format('%s "%s" is owned by "%s"', kind, name, owner),
      detail = 'Only its owner gives and takes privileges on it.',
      hint = format('SET ROLE %I;', owner);
  END IF;
END
$$;

COMMENT ON FUNCTION behavpred_internal.grant_object(text, text) IS
'For grant_on() and revoke_on(): the graph, the target (NULL when a graph is named) and the owner, who must be the caller';

-- A privilege and a role that can be granted to.
CREATE FUNCTION behavpred_internal.check_grant(privilege text, role name) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT coalesce(privilege = ANY ('{predict,read,train}'), false) THEN
    RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
      message = CASE WHEN privilege IS NULL THEN 'privilege must not be NULL' ELSE format('privilege is "%s"', privilege) END,
      detail = 'It is predict, read (which includes predict) or train (which includes both).',
      hint = 'SELECT behavpred.grant_on(''target'', ''buys_42'', ''predict'', ''some_role'');';
  END IF;
  IF role IS NULL OR role <> 'public' AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
    RAISE EXCEPTION USING errcode = CASE WHEN role IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN role IS NULL THEN 'role must not be NULL' ELSE format('role "%s" does not exist', role) END,
      hint = 'Name a role of this server, or public for all roles.';
  END IF;
END
$$;

COMMENT ON FUNCTION behavpred_internal.check_grant(text, name) IS 'For grant_on(): complains about a privilege or role that does not exist';

-- What each privilege needs on the embedding tables. Training a target only reads them.
CREATE FUNCTION embedding_grants(graph text)
RETURNS TABLE (relation regclass, privileges text, grantee name)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT t.relation,
         CASE WHEN bool_or(p.privilege = 'train' AND p.target IS NULL) THEN 'SELECT, INSERT, DELETE' ELSE 'SELECT' END,
         p.grantee
  FROM behavpred.registered_graph g
  CROSS JOIN LATERAL (VALUES
    (behavpred_internal.relation_named(g.user_embeddings), true), (behavpred_internal.relation_named(g.object_embeddings), false))
    AS t (relation, of_users)
  JOIN behavpred.granted_privilege p ON p.graph = g.graph AND p.owner = g.owner
  WHERE g.graph = $1 AND t.relation IS NOT NULL AND p.embeddings AND (t.of_users OR p.privilege <> 'predict')
    AND (p.grantee = 'public' OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = p.grantee))
  GROUP BY t.relation, p.grantee
$$;

COMMENT ON FUNCTION embedding_grants(text) IS
'What the grants on a graph and its targets, made with embeddings => true, need on the embedding tables';

CREATE FUNCTION renew_grants(graph text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  needed record;
  holds boolean;
BEGIN
  FOR needed IN SELECT * FROM behavpred.embedding_grants(graph) LOOP
    SELECT count(DISTINCT a.privilege_type) = 1 + length(needed.privileges) - length(replace(needed.privileges, ',', ''))
    INTO holds
    FROM pg_class c CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE c.oid = needed.relation AND coalesce(r.rolname, 'public') = needed.grantee
      AND a.privilege_type = ANY (string_to_array(needed.privileges, ', '));
    CONTINUE WHEN holds;
    EXECUTE format('GRANT %s ON %s TO %s', needed.privileges, needed.relation,
                   CASE needed.grantee WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(needed.grantee) END);
  END LOOP;
END
$$;

COMMENT ON FUNCTION renew_grants(text) IS
'Grants on the embedding tables of a graph what grant_on() has promised, as far as it is missing; train_graph() calls it, so that tables which it makes anew are as accessible as those before';

CREATE FUNCTION grant_on(kind text, name text, privilege text, role name, embeddings boolean DEFAULT true)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  object record;
BEGIN
  PERFORM behavpred_internal.check_grant($3, $4);
  SELECT * INTO object FROM behavpred_internal.grant_object(kind, name);
  INSERT INTO behavpred.granted_privilege (graph, target, privilege, grantee, owner, embeddings)
  VALUES (object.graph, object.target, $3, $4, object.owner, coalesce($5, true))
  ON CONFLICT (graph, coalesce(target, ''), privilege, grantee, owner) DO UPDATE SET embeddings = excluded.embeddings;
  PERFORM behavpred.renew_grants(object.graph);
END
$$;

COMMENT ON FUNCTION grant_on(text, text, text, name, boolean) IS
'Let another role use your graph or target.
kind: graph (and so all its targets, those to come as well) or target. name: of it.
privilege: predict: predict(); read: also audiences, definitions, runs, metrics; train: also train_graph() or train_target(). Each includes those before it. Sources are read as the role that trains or asks for an audience.
role: a role, whose members have the privilege as well, or public.
embeddings: also GRANT what the privilege needs on the embedding tables, now and whenever a training makes them anew; default true.
See the view privileges for what may still be missing.';

CREATE FUNCTION revoke_on(kind text, name text, privilege text, role name) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  object record;
  relation regclass;
  relations regclass[];
BEGIN
  SELECT * INTO object FROM behavpred_internal.grant_object(kind, name);
  relations := ARRAY(SELECT e.relation FROM behavpred.embedding_grants(object.graph) e WHERE e.grantee = role);
  DELETE FROM behavpred.granted_privilege p
  WHERE p.graph = object.graph AND p.target IS NOT DISTINCT FROM object.target AND p.owner = object.owner
    AND p.privilege = $3 AND p.grantee = role;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING errcode = CASE WHEN $3 IS NULL OR $4 IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN $3 IS NULL THEN 'privilege must not be NULL'
                     WHEN $4 IS NULL THEN 'role must not be NULL'
                     ELSE format('role "%s" was not granted %s on %s "%s"', $4, $3, kind, name) END,
      hint = format('SELECT * FROM behavpred.privileges WHERE kind = %L AND name = %L;', kind, name);
  END IF;
  FOREACH relation IN ARRAY relations LOOP
    EXECUTE format('REVOKE SELECT, INSERT, DELETE ON %s FROM %s', relation,
                   CASE role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(role) END);
  END LOOP;
  PERFORM behavpred.renew_grants(object.graph);
END
$$;

COMMENT ON FUNCTION revoke_on(text, text, text, name) IS
'Take back what grant_on() gave: this privilege of this role (or public), and what only it needed on the embedding tables';

CREATE FUNCTION reassign_owner(old_owner name, new_owner name) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  relation regclass;
  changed bigint;
  total bigint := 0;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)) THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = 'permission denied to change the owner of graphs',
      detail = format('Role "%s" sees its own rows only.', current_user),
      hint = 'Ask a superuser.';
  END IF;
  IF old_owner IS NULL OR NOT EXISTS (SELECT FROM pg_roles WHERE rolname = new_owner) THEN
    RAISE EXCEPTION USING errcode = CASE WHEN old_owner IS NULL OR new_owner IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN old_owner IS NULL THEN 'old_owner must not be NULL'
                     WHEN new_owner IS NULL THEN 'new_owner must not be NULL'
                     ELSE format('role "%s" does not exist', new_owner) END,
      hint = 'SELECT behavpred.reassign_owner(''old_role'', ''new_role'');';
  END IF;
  FOR relation IN
    SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'behavpred'::regnamespace AND c.relkind = 'r'
      AND a.attname = 'owner' AND NOT a.attisdropped
    ORDER BY c.relname
  LOOP
    EXECUTE format('UPDATE %s SET owner = $1 WHERE owner = $2', relation) USING new_owner, old_owner;
    GET DIAGNOSTICS changed = ROW_COUNT;
    total := total + changed;
  END LOOP;
  RETURN total;
END
$$;

COMMENT ON FUNCTION reassign_owner(name, name) IS
'For superusers: give the graphs, targets, runs, models and grants of one role, which need not exist any more, to another, as REASSIGN OWNED does with tables. Returns the number of rows';

REVOKE EXECUTE ON FUNCTION
  grant_on(text, text, text, name, boolean), revoke_on(text, text, text, name), reassign_owner(name, name)
FROM PUBLIC;

-- What a grant lacks to take effect: the privileges of PostgreSQL that go with it.
CREATE FUNCTION behavpred_internal.grant_lacks(graph text, target text, privilege text, grantee name) RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(array_agg(DISTINCT lack ORDER BY lack) FILTER (WHERE lack IS NOT NULL), '{}')
  FROM behavpred.registered_graph g
  LEFT JOIN behavpred.registered_target t ON t.graph = g.graph AND t.target = $2
  CROSS JOIN LATERAL (VALUES
    (g.user_embeddings, 'SELECT', true), (g.object_embeddings, 'SELECT', $3 <> 'predict'),
    (g.user_embeddings, 'INSERT', $3 = 'train' AND $2 IS NULL), (g.object_embeddings, 'INSERT', $3 = 'train' AND $2 IS NULL),
    (g.user_embeddings, 'DELETE', $3 = 'train' AND $2 IS NULL), (g.object_embeddings, 'DELETE', $3 = 'train' AND $2 IS NULL),
    (g.interactions, 'SELECT', $3 <> 'predict'), (t.seeds, 'SELECT', $3 <> 'predict'), (t.candidates, 'SELECT', $3 <> 'predict'),
    (t.negatives, 'SELECT', $3 = 'train'),
    (g.users, 'SELECT', $3 = 'train' AND $2 IS NULL), (g.objects, 'SELECT', $3 = 'train' AND $2 IS NULL))
    AS needed (name, privilege, applies)
  CROSS JOIN LATERAL (SELECT behavpred_internal.relation_named(needed.name)) AS found (relation)
  LEFT JOIN pg_class c ON c.oid = found.relation
  CROSS JOIN LATERAL (VALUES
    (CASE WHEN NOT has_schema_privilege($4, c.relnamespace, 'USAGE')
          THEN format('USAGE ON SCHEMA %s', c.relnamespace::regnamespace) END),
    (CASE WHEN NOT has_table_privilege($4, c.oid, needed.privilege)
           AND NOT (needed.privilege = 'SELECT' AND has_any_column_privilege($4, c.oid, 'SELECT'))
          THEN format('%s ON %s', needed.privilege, found.relation) END)) AS lacking (lack)
  WHERE g.graph = $1 AND needed.applies
$$;

COMMENT ON FUNCTION behavpred_internal.grant_lacks(text, text, text, name) IS
'For the view privileges: what a role that exists lacks on embedding tables and sources to use a grant';

CREATE FUNCTION export_model(target text, version int DEFAULT NULL) RETURNS bytea
AS 'MODULE_PATHNAME', 'behavpred_export_model' LANGUAGE C STABLE;

COMMENT ON FUNCTION export_model(text, int) IS
'A model with what another server needs to take it in by import_model(): which training of the graph it fits, numbers in a vector, quality, checksum. version: default the deployed one';

CREATE FUNCTION import_model(
  target text, exported bytea, deploy boolean DEFAULT true, other_run boolean DEFAULT false)
RETURNS int
AS 'MODULE_PATHNAME', 'behavpred_import_model' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION import_model(text, bytea, boolean, boolean) IS
'Take in what export_model() gave as the next version of a target; returns the version. It must fit the graph''s present vectors, those of the very training that it was made on, as in a database restored from a dump. deploy: let it predict from now on. other_run: true vouches that the vectors are those of that training although the record of it is not here; vectors of another length are refused all the same';

REVOKE EXECUTE ON FUNCTION import_model(text, bytea, boolean, boolean) FROM PUBLIC;

CREATE VIEW privileges AS
SELECT 'graph' AS kind, g.graph AS name, g.owner AS role, 'own' AS privilege, g.owner AS granted_by,
       g.created_at AS since, NULL::text[] AS lacks
FROM registered_graph g
WHERE behavpred_internal.sees_rows_of(g.owner)
UNION ALL
SELECT 'target', t.target, t.owner, 'own', t.owner, t.created_at, NULL
FROM registered_target t
WHERE behavpred_internal.sees_rows_of(t.owner)
UNION ALL
SELECT CASE WHEN p.target IS NULL THEN 'graph' ELSE 'target' END, coalesce(p.target, p.graph), p.grantee, p.privilege,
       p.owner, p.granted_at,
       CASE WHEN p.grantee = 'public' OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = p.grantee)
            THEN behavpred_internal.grant_lacks(p.graph, p.target, p.privilege, p.grantee)
            ELSE ARRAY['the role does not exist'] END
FROM granted_privilege p
JOIN registered_graph g ON g.graph = p.graph AND g.owner = p.owner
WHERE behavpred_internal.sees_rows_of(p.owner) OR behavpred_internal.privilege_on(p.owner, p.graph, p.target) > 0
  AND (p.grantee = 'public'
       OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = p.grantee AND pg_catalog.pg_has_role(r.oid, 'USAGE')));

COMMENT ON VIEW privileges IS
'Who may do what with your graphs and targets, and what you were granted on those of others. A grant on a graph covers its targets. lacks: privileges of PostgreSQL that the role needs beside the grant (for read, those on sources only to leave out known users)';

-- ---------------------------------------------------------------------------
-- Erasure
-- ---------------------------------------------------------------------------

CREATE FUNCTION forget_user(graph text, user_id text) RETURNS TABLE (place text, row_count bigint, action text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  g behavpred.registered_graph := behavpred_internal.graph_named($1);
  source record;
  relation regclass;
  key_column name;
BEGIN
  IF g.owner <> current_user THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = format('graph "%s" is owned by "%s"', $1, g.owner),
      detail = 'Its sources are read as its owner only.', hint = format('SET ROLE %I;', g.owner);
  END IF;
  IF $2 IS NULL THEN
    RAISE EXCEPTION USING errcode = 'null_value_not_allowed', message = 'user_id must not be NULL',
      hint = format('SELECT * FROM behavpred.forget_user(%L, ''4711'');', $1);
  END IF;

  relation := behavpred_internal.relation_named(g.user_embeddings);
  IF relation IS NOT NULL THEN
    EXECUTE format('DELETE FROM %s WHERE %I = $1::%s', relation, g.user_column, g.user_key_type::regtype) USING $2;
    GET DIAGNOSTICS row_count = ROW_COUNT;
    place := relation; action := 'removed'; RETURN NEXT;
  END IF;

  -- The state of an unfinished training has parameters of every user, by number.
  DELETE FROM behavpred.training_checkpoint c USING behavpred.training_run r
  WHERE r.run_id = c.run_id AND r.graph = $1 AND r.owner = current_user;
  GET DIAGNOSTICS row_count = ROW_COUNT;
  place := 'behavpred.training_checkpoint'; action := 'removed'; RETURN NEXT;

  row_count := behavpred_internal.forget_in_network($1, $2);
  place := 'behavpred.trained_network_part'; action := 'removed'; RETURN NEXT;

  EXECUTE format('UPDATE behavpred.drift_reference SET users = array_remove(users, $2::%1$s::text) WHERE graph = $1 AND $2::%1$s::text = ANY (users)',
                 g.user_key_type::regtype) USING $1, $2;
  GET DIAGNOSTICS row_count = ROW_COUNT;
  place := 'behavpred.drift_reference'; action := 'removed'; RETURN NEXT;

  EXECUTE format('UPDATE behavpred.changed_nodes SET users = array_remove(users, $2::%1$s::text) WHERE graph = $1 AND $2::%1$s::text = ANY (users)',
                 g.user_key_type::regtype) USING $1, $2;
  GET DIAGNOSTICS row_count = ROW_COUNT;
  place := 'behavpred.changed_nodes'; action := 'removed'; RETURN NEXT;

  FOR source IN
    SELECT s.name, s.role, min(s.priority) AS priority
    FROM (SELECT g.interactions, 'interactions', 1
          UNION ALL SELECT g.users, 'features', 2
          UNION ALL SELECT t.seeds, 'seeds', 3 FROM behavpred.registered_target t WHERE t.graph = $1
          UNION ALL SELECT t.candidates, 'candidates', 4 FROM behavpred.registered_target t WHERE t.graph = $1
          UNION ALL SELECT t.negatives, 'negatives', 5 FROM behavpred.registered_target t WHERE t.graph = $1
          UNION ALL SELECT format('%I.%I', n.nspname, c.relname), 'audience', 6
          FROM behavpred.registered_target t
          JOIN pg_class c ON obj_description(c.oid, 'pg_class') = format('Audience of target "%s", best first by rank', t.target)
          JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE t.graph = $1 AND pg_has_role(c.relowner, 'USAGE')) AS s (name, role, priority)
    WHERE s.name IS NOT NULL
    GROUP BY s.name, s.role ORDER BY 3, 1
  LOOP
    relation := behavpred_internal.relation_named(source.name);
    -- The key stands where it is looked for in a training: in the column of that name, else in the only one.
    SELECT a.attname INTO key_column FROM pg_attribute a
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attname <> g.user_column,
             NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = relation AND i.indisprimary AND a.attnum = ANY (i.indkey)),
             a.attnum LIMIT 1;
    CONTINUE WHEN relation IS NULL OR key_column IS NULL;
    EXECUTE format('SELECT count(*) FROM %s WHERE %I::text = $1::%s::text', relation, key_column, g.user_key_type::regtype)
      INTO row_count USING $2;
    place := relation; action := format('remains: yours to delete (%s)', source.role); RETURN NEXT;
  END LOOP;
END
$$;

CREATE FUNCTION forget_user(graph text, user_id anyelement) RETURNS TABLE (place text, row_count bigint, action text)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT * FROM behavpred.forget_user($1, $2::text) $$;

COMMENT ON FUNCTION forget_user(text, text) IS
'Remove what this extension stores of a user of your graph: his vector, his part of the kept network, his key among those that check_drift() looks at again and in the queue of changes, and the checkpoints of unfinished trainings. Result, a receipt: where, how many rows, and removed or what remains in your own tables (sources of the graph and its targets, audiences), which are not touched: the next training reads him from there again. Models keep no keys; train them again to have them without him';
COMMENT ON FUNCTION forget_user(text, anyelement) IS 'The same, the user''s key in its own type';

REVOKE EXECUTE ON FUNCTION forget_user(text, text), forget_user(text, anyelement) FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Watching
-- ---------------------------------------------------------------------------

CREATE FUNCTION environment() RETURNS TABLE (property text, value text)
AS 'MODULE_PATHNAME', 'behavpred_environment' LANGUAGE C VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION environment() IS
'What this backend runs on: library and PostgreSQL versions, build and kernel of OpenBLAS, instruction set of the own kernels, threads of the process, processors, bytes of memory of the machine';

CREATE VIEW health AS
WITH settings AS (
  SELECT max(value) FILTER (WHERE property = 'memory_bytes')::bigint AS memory,
         max(value) FILTER (WHERE property = 'processors')::int AS processors,
         max(value) FILTER (WHERE property = 'process_threads')::int AS process_threads,
         max(value) FILTER (WHERE property = 'library_version') AS library,
         max(value) FILTER (WHERE property = 'openblas') AS openblas,
         max(value) FILTER (WHERE property = 'openblas_kernel') AS openblas_kernel,
         max(value) FILTER (WHERE property = 'kernels') AS kernels,
         pg_catalog.pg_size_bytes(pg_catalog.current_setting('behavpred.max_memory')) AS max_memory,
         pg_catalog.current_setting('behavpred.threads')::int AS threads,
         pg_catalog.current_setting('behavpred.max_threads')::int AS max_threads,
         (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'behavpred') AS sql_version
  FROM environment()),
sources AS (
  SELECT 'graph ' || g.graph AS object, s.name FROM registered_graph g
  CROSS JOIN LATERAL (VALUES (g.interactions), (g.users), (g.objects)) AS s (name) WHERE behavpred_internal.sees_rows_of(g.owner)
  UNION ALL
  SELECT 'target ' || t.target, s.name FROM registered_target t
  CROSS JOIN LATERAL (VALUES (t.seeds), (t.candidates), (t.negatives)) AS s (name) WHERE behavpred_internal.sees_rows_of(t.owner)),
checks (name, problems, detail, hint) AS (
  SELECT 'dead runs', count(*),
         pg_catalog.string_agg('run ' || r.run_id || ' of graph ' || r.graph, ', ' ORDER BY r.run_id),
         'Its process ended without bringing the run to an end; run the training again.'
  FROM runs r
  WHERE r.status = 'crashed' AND behavpred_internal.sees_rows_of(r.owner)
  UNION ALL
  SELECT 'stale models', count(*), pg_catalog.string_agg('target ' || t.target, ', ' ORDER BY t.target),
         'The graph was trained after the deployed model: SELECT * FROM behavpred.train_target(...);'
  FROM registered_target t
  JOIN registered_graph g ON g.graph = t.graph
  JOIN trained_model m ON m.target = t.target AND m.version = t.deployed_version
  WHERE behavpred_internal.model_fits(t.graph, m.graph_run, g.trained_run) IS NOT TRUE AND behavpred_internal.sees_rows_of(t.owner)
  UNION ALL
  SELECT 'missing sources', count(*), pg_catalog.string_agg(s.object || ': ' || s.name, ', ' ORDER BY s.object, s.name),
         'Give the relation its name back, or drop what reads it and create it anew.'
  FROM sources s WHERE s.name IS NOT NULL AND behavpred_internal.relation_named(s.name) IS NULL
  UNION ALL
  SELECT 'missing embeddings', count(*), pg_catalog.string_agg('graph ' || g.graph || ': ' || e.name, ', ' ORDER BY g.graph, e.name),
         'Give the table its name back, or SELECT * FROM behavpred.train_graph(...);'
  FROM registered_graph g CROSS JOIN LATERAL (VALUES (g.user_embeddings), (g.object_embeddings)) AS e (name)
  WHERE e.name IS NOT NULL AND behavpred_internal.relation_named(e.name) IS NULL AND behavpred_internal.sees_rows_of(g.owner)
  UNION ALL
  SELECT 'missing owners', count(DISTINCT g.owner), pg_catalog.string_agg(DISTINCT g.owner::text, ', '),
         pg_catalog.format('SELECT behavpred.reassign_owner(%L, ''new_role'');', min(g.owner::text))
  FROM registered_graph g
  WHERE behavpred_internal.sees_rows_of(g.owner) AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = g.owner)
  UNION ALL
  SELECT 'missing grantees', count(DISTINCT p.grantee), pg_catalog.string_agg(DISTINCT p.grantee::text, ', '),
         (pg_catalog.array_agg(pg_catalog.format('SELECT behavpred.revoke_on(%L, %L, %L, %L);',
            CASE WHEN p.target IS NULL THEN 'graph' ELSE 'target' END, coalesce(p.target, p.graph), p.privilege, p.grantee)
            ORDER BY p.grantee, p.graph, p.target))[1]
  FROM granted_privilege p
  WHERE behavpred_internal.sees_rows_of(p.owner) AND p.grantee <> 'public'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = p.grantee)
  UNION ALL
  SELECT 'memory', (s.max_memory > s.memory / 2)::int,
         pg_catalog.format('behavpred.max_memory is %s, the machine has %s', pg_catalog.pg_size_pretty(s.max_memory), pg_catalog.pg_size_pretty(s.memory)),
         'SET behavpred.max_memory to less than half of the machine''s memory.'
  FROM settings s
  UNION ALL
  SELECT 'threads', (least(s.threads, s.max_threads) > s.processors OR s.process_threads > 1)::int,
         pg_catalog.format('behavpred.threads is %s, at most %s, on %s processors; this process has %s', s.threads, s.max_threads, s.processors, s.process_threads),
         'SET behavpred.threads to at most the number of processors; a backend at rest has one thread.'
  FROM settings s
  UNION ALL
  SELECT 'openblas', (s.openblas IS NULL)::int,
         pg_catalog.format('%s, kernel %s; own kernels %s', coalesce(s.openblas, 'another BLAS'), coalesce(s.openblas_kernel, 'unknown'), s.kernels),
         'Install OpenBLAS; results on another BLAS have not been proved.'
  FROM settings s
  UNION ALL
  SELECT 'versions', (s.library <> s.sql_version)::int,
         pg_catalog.format('library %s, SQL objects %s', s.library, s.sql_version), 'ALTER EXTENSION behavpred UPDATE;'
  FROM settings s)
SELECT name, problems = 0 AS ok, problems, detail, CASE WHEN problems > 0 THEN hint END AS hint FROM checks;

COMMENT ON VIEW health IS
'One row a check over what you own and the server you are on: ok, the number of problems, what they are, and what to do';

CREATE VIEW storage AS
SELECT 'graph' AS kind, g.graph AS name, g.owner,
       (SELECT sum(pg_catalog.pg_total_relation_size(e.relation))
        FROM (VALUES (behavpred_internal.relation_named(g.user_embeddings)), (behavpred_internal.relation_named(g.object_embeddings))) AS e (relation)
        WHERE e.relation IS NOT NULL)::bigint AS embedding_bytes,
       (SELECT sum(pg_catalog.pg_column_size(m.*)) FROM trained_model m JOIN registered_target t ON t.target = m.target
        WHERE t.graph = g.graph)::bigint AS model_bytes,
       (SELECT sum(pg_catalog.pg_column_size(r.*)) FROM training_run r WHERE r.graph = g.graph)::bigint
         + coalesce((SELECT sum(pg_catalog.pg_column_size(e.*)) FROM training_epoch e JOIN training_run r ON r.run_id = e.run_id
                     WHERE r.graph = g.graph), 0)::bigint AS log_bytes,
       (SELECT sum(c.bytes) FROM training_checkpoint c JOIN training_run r ON r.run_id = c.run_id
        WHERE r.graph = g.graph)::bigint AS checkpoint_bytes,
       (SELECT n.bytes FROM trained_network n WHERE n.graph = g.graph) AS network_bytes
FROM registered_graph g WHERE behavpred_internal.sees_rows_of(g.owner)
UNION ALL
SELECT 'target', t.target, t.owner, NULL,
       (SELECT sum(pg_catalog.pg_column_size(m.*)) FROM trained_model m WHERE m.target = t.target)::bigint,
       (SELECT sum(pg_catalog.pg_column_size(r.*)) FROM training_run r WHERE r.target = t.target)::bigint, NULL, NULL
FROM registered_target t WHERE behavpred_internal.sees_rows_of(t.owner);

COMMENT ON VIEW storage IS
'Bytes of your graphs (embedding tables with their indexes; models, log and checkpoints of the graph and all its targets; the kept network) and targets (models and log of their own)';

