-- ---------------------------------------------------------------------------
-- Who may do what
-- ---------------------------------------------------------------------------

-- Every view of the extension is read by everyone, with the reader's own privileges.
DO $$
DECLARE
  view_name name;
BEGIN
  FOR view_name IN
    SELECT relname FROM pg_catalog.pg_class
    WHERE relnamespace = 'behavpred'::pg_catalog.regnamespace AND relkind = 'v'
  LOOP
    IF pg_catalog.current_setting('server_version_num')::int >= 150000 THEN
      EXECUTE pg_catalog.format('ALTER VIEW behavpred.%I SET (security_invoker = true)', view_name);
    END IF;
    EXECUTE pg_catalog.format('GRANT SELECT ON behavpred.%I TO PUBLIC', view_name);
  END LOOP;
END
$$;

-- What trains, creates tables or reads whole sources is granted by an administrator.
REVOKE EXECUTE ON FUNCTION
  create_graph(text, regclass, name, name, name, text[], name, float8, name, name, interval, regclass, name[], regclass, name[], int, text),
  train_graph(text, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb),
  evaluate_graph(text, regclass, int, int),
  drop_graph(text),
  create_target(text, text, text, text[], regclass, regclass, regclass, interval),
  train_target(text, text, int[], float8, text, float8, text, bigint, int, jsonb),
  drop_target(text),
  audience_into(text, text, bigint, float8, float8, float8, boolean, regclass, int)
FROM PUBLIC;

