-- targets.sql: train all targets of generated.sql in one call. The floor are the Hessians of
-- ten Newton steps: 10 * 6,000 * 66^2 multiplications and additions a target, at :gflops.
SELECT cpu() AS before, clock_timestamp() AS start \gset
SELECT count(*) AS targets, avg(n_positive + n_negative)::int AS samples, count(error) AS failed
FROM behavpred.train_targets('bench', threads => 2);
SELECT round(extract(epoch FROM clock_timestamp() - :'start')::numeric, 1) AS seconds,
       round((cpu() - :before)::numeric, 1) AS processor_seconds,
       round(((cpu() - :before) / (:targets * 10 * 6000.0 * 66 ^ 2 / (:gflops * 1e9)))::numeric, 1) AS ratio_to_floor;
