-- ---------------------------------------------------------------------------
-- Keeping: grants to other roles, change of owner
-- ---------------------------------------------------------------------------

-- A relation by its quoted name in the catalog tables. Unlike to_regclass() it does not
-- fail for want of USAGE on the schema, nor for what somebody has written there by hand.
CREATE FUNCTION relation_named(name text) RETURNS regclass
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE (n.nspname, c.relname) = (
    SELECT part[1]::name, part[2]::name
    FROM (SELECT CASE WHEN name ~ '^("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)\.("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)$'
                 THEN parse_ident(name) END) AS parsed (part))
$$;

COMMENT ON FUNCTION relation_named(text) IS
'For the views: the relation of a quoted, schema-qualified name, NULL when there is none';

-- The graph and target that a grant names, for its owner.
CREATE FUNCTION grant_object(kind text, name text, OUT graph text, OUT target text, OUT owner name)
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
    RAISE EXCEPTION USING errcode = 'undefined_object',
      message = CASE WHEN name IS NULL THEN 'name must not be NULL' ELSE format('%s "%s" does not exist', kind, name) END,
      hint = format('Yours: SELECT * FROM behavpred.%ss;', kind);
  END IF;
  IF NOT behavpred.sees_rows_of(owner) THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = format('%s "%s" is owned by "%s"', kind, name, owner),
      detail = 'Only its owner gives and takes privileges on it.',
      hint = format('SET ROLE %I;', owner);
  END IF;
END
$$;

COMMENT ON FUNCTION grant_object(text, text) IS
'For grant_on() and revoke_on(): the graph, the target (NULL when a graph is named) and the owner, who must be the caller';

-- A privilege and a role that can be granted to.
CREATE FUNCTION check_grant(privilege text, role name) RETURNS void
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
    RAISE EXCEPTION USING errcode = 'undefined_object',
      message = CASE WHEN role IS NULL THEN 'role must not be NULL' ELSE format('role "%s" does not exist', role) END,
      hint = 'Name a role of this server, or public for all roles.';
  END IF;
END
$$;

COMMENT ON FUNCTION check_grant(text, name) IS 'For grant_on(): complains about a privilege or role that does not exist';

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
    (behavpred.relation_named(g.user_embeddings), true), (behavpred.relation_named(g.object_embeddings), false))
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
  PERFORM behavpred.check_grant($3, $4);
  SELECT * INTO object FROM behavpred.grant_object(kind, name);
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
  SELECT * INTO object FROM behavpred.grant_object(kind, name);
  relations := ARRAY(SELECT e.relation FROM behavpred.embedding_grants(object.graph) e WHERE e.grantee = role);
  DELETE FROM behavpred.granted_privilege p
  WHERE p.graph = object.graph AND p.target IS NOT DISTINCT FROM object.target AND p.owner = object.owner
    AND p.privilege = $3 AND p.grantee = role;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING errcode = 'undefined_object',
      message = format('role "%s" was not granted %s on %s "%s"', role, $3, kind, name),
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
    RAISE EXCEPTION USING errcode = 'undefined_object',
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
CREATE FUNCTION grant_lacks(graph text, target text, privilege text, grantee name) RETURNS text[]
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
  CROSS JOIN LATERAL (SELECT behavpred.relation_named(needed.name)) AS found (relation)
  LEFT JOIN pg_class c ON c.oid = found.relation
  CROSS JOIN LATERAL (VALUES
    (CASE WHEN NOT has_schema_privilege($4, c.relnamespace, 'USAGE')
          THEN format('USAGE ON SCHEMA %s', c.relnamespace::regnamespace) END),
    (CASE WHEN NOT has_table_privilege($4, c.oid, needed.privilege)
           AND NOT (needed.privilege = 'SELECT' AND has_any_column_privilege($4, c.oid, 'SELECT'))
          THEN format('%s ON %s', needed.privilege, found.relation) END)) AS lacking (lack)
  WHERE g.graph = $1 AND needed.applies
$$;

COMMENT ON FUNCTION grant_lacks(text, text, text, name) IS
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
WHERE sees_rows_of(g.owner)
UNION ALL
SELECT 'target', t.target, t.owner, 'own', t.owner, t.created_at, NULL
FROM registered_target t
WHERE sees_rows_of(t.owner)
UNION ALL
SELECT CASE WHEN p.target IS NULL THEN 'graph' ELSE 'target' END, coalesce(p.target, p.graph), p.grantee, p.privilege,
       p.owner, p.granted_at,
       CASE WHEN p.grantee = 'public' OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = p.grantee)
            THEN grant_lacks(p.graph, p.target, p.privilege, p.grantee)
            ELSE ARRAY['the role does not exist'] END
FROM granted_privilege p
JOIN registered_graph g ON g.graph = p.graph AND g.owner = p.owner
WHERE sees_rows_of(p.owner) OR privilege_on(p.owner, p.graph, p.target) > 0
  AND (p.grantee = 'public'
       OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = p.grantee AND pg_catalog.pg_has_role(r.oid, 'USAGE')));

COMMENT ON VIEW privileges IS
'Who may do what with your graphs and targets, and what you were granted on those of others. A grant on a graph covers its targets. lacks: privileges of PostgreSQL that the role needs beside the grant (for read, those on sources only to leave out known users)';

