-- key_types.sql: keys that are all whole numbers become bigint.
DO $$
DECLARE
  key text;
  whole boolean;
BEGIN
  FOREACH key IN ARRAY '{user_id,object_id}'::text[] LOOP
    EXECUTE format('SELECT bool_and(%I ~ %L) FROM interactions', key, '^-?[0-9]{1,18}$') INTO whole;
    IF whole THEN
      EXECUTE format('ALTER TABLE interactions ALTER %1$I TYPE bigint USING %1$I::bigint', key);
    END IF;
  END LOOP;
END
$$;
ANALYZE interactions;
