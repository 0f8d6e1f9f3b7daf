# Jobs by pg_cron: CALLs of the procedures, by themselves and in a wrapper, every minute, as
# doc/jobs.md shows them. pg_cron 1.4 knows no seconds, so this waits for the next minute.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $libraries = `pg_config --pkglibdir`;
chomp $libraries;
if (!-e "$libraries/pg_cron.so")
{
	diag('pg_cron is NOT INSTALLED, so that nothing of it is tested; on Debian: apt-get install postgresql-15-cron');
	plan skip_all => 'pg_cron is not installed';
}

my $node = start_node('cron', q{
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.host = ''
});

# Its background worker connects by libpq, through the node's socket directory.
$node->append_conf('postgresql.conf', "cron.host = '" . $node->host . "'");
$node->restart;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');

make_graph($node, 'users => 1000, objects => 50, targets => 1');
$node->safe_psql('postgres', q{
	SELECT behavpred.create_graph('nightly', 'demo.events', behavior_column => 'kind', behaviors => '{purchase,click}');
	SELECT behavpred.create_target('likes_51', 'nightly', object => '51');
	SELECT behavpred.create_graph('broken', 'demo.events')});

# The recipes of doc/jobs.md, with the schedule of every minute and the names of this test.
my $recipes = source_file('doc/jobs.md');
my ($wrapper) = $recipes =~ /(CREATE PROCEDURE nightly\(\).*?\$\$;)/s or die 'doc/jobs.md has no wrapper';
my ($schedule) = $recipes =~ /(SELECT cron\.schedule\('train shop'.*?;)\n/s or die 'doc/jobs.md has no schedule';
my ($schedule_wrapper) = $recipes =~ /(SELECT cron\.schedule\('nightly'.*?;)\n/s or die 'doc/jobs.md has no schedule of the wrapper';
s/'\d+ \d+ \* \* \*'/'* * * * *'/ for $schedule, $schedule_wrapper;
$schedule =~ s/shop/demo/g;
$wrapper =~ s/'shop'/'nightly'/g;
$schedule =~ s/run_graph\('demo'/run_graph('demo', epochs => 2, dimension => 16/;
$wrapper =~ s/run_graph\('nightly'/run_graph('nightly', epochs => 2, dimension => 16/;

$node->safe_psql('postgres', $_) for $wrapper, $schedule, $schedule_wrapper,
	q{SELECT cron.schedule('fails', '* * * * *', $$CALL behavpred.run_graph('broken', dimension => 7)$$)},
	q{SELECT cron.schedule('two', '* * * * *', $$CALL behavpred.run_maintenance(); CALL behavpred.run_maintenance()$$)};

ok($node->poll_query_until('postgres', q{
	SELECT count(DISTINCT j.jobname) = 4 FROM cron.job_run_details d JOIN cron.job j USING (jobid)
	WHERE d.status IN ('succeeded', 'failed')}), 'every job has run');
$node->safe_psql('postgres', 'SELECT cron.unschedule(jobname) FROM cron.job');

sub details
{
	my ($command) = @_;

	return $node->safe_psql('postgres', "SELECT status || ' ' || return_message FROM cron.job_run_details
		WHERE command LIKE '$command' AND status <> 'running' ORDER BY runid LIMIT 1");
}

like(details('CALL behavpred.run_graph(_demo%'), qr/^succeeded/, 'run_graph has succeeded');
like(details('CALL nightly()'), qr/^succeeded/, 'so has the wrapper');
like(details('CALL behavpred.run_graph(_broken%'), qr/^failed.*dimension 7 is not a multiple of factors 4/s, 'a bad argument fails the job, and says why');
like(details('%; CALL%'), qr/^failed.*cannot run inside a transaction block/s, 'two CALLs in one job are refused');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT graph || ' ' || status, ', ' ORDER BY graph || ' ' || status) FROM behavpred.runs WHERE target IS NULL}),
	'broken failed, demo done, nightly done', 'our log tells the same');
is($node->safe_psql('postgres', q{SELECT count(*) > 0 FROM behavpred.runs WHERE target IS NOT NULL AND status = 'done'}), 't',
	'the wrapper has trained the targets');
is($node->safe_psql('postgres', q{SELECT count(*) > 0 FROM demo_user_embedding}), 't', 'vectors are there');

# What the page asks the logs.
foreach my $query ($recipes =~ /^(SELECT (?:status|run_id|pid).*?)(?:;| \\watch)/mg)
{
	is($node->psql('postgres', $query), 0, $query);
}

done_testing();
