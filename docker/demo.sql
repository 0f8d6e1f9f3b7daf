-- Runs once, when the server's data directory is made.
CREATE EXTENSION behavpred;
CREATE EXTENSION pg_cron;
SELECT FROM behavpred.demo_data('demo', users => 3000, objects => 300, targets => 1);
SELECT behavpred.create_graph('shop', 'demo.events', behavior_column => 'kind', behaviors => '{click,purchase}', time_column => 'happened_at');
SELECT behavpred.create_target('campaign', 'shop', object => '301');
SELECT * FROM behavpred.train_graph('shop', dimension => 32);
SELECT * FROM behavpred.train_target('campaign');
CREATE PROCEDURE nightly() LANGUAGE plpgsql AS $$
BEGIN
  CALL behavpred.run_graph('shop', dimension => 32);
  CALL behavpred.run_targets('shop');
  CALL behavpred.run_maintenance();
END
$$;
SELECT cron.schedule('nightly', '15 3 * * *', 'CALL nightly()');
