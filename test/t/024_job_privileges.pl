# Jobs of a role that was granted to train: they belong to the owner, and strangers see none.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('job_privileges');
my $job = q{CALL behavpred.run_graph('demo', epochs => 2, dimension => 8, factors => 2};

$node->safe_psql('postgres', q{
	CREATE ROLE owner LOGIN; CREATE ROLE trainer LOGIN; CREATE ROLE stranger LOGIN;
	GRANT CREATE ON SCHEMA public TO owner;
	GRANT EXECUTE ON ALL ROUTINES IN SCHEMA behavpred TO owner, trainer, stranger;
	SELECT FROM behavpred.demo_data('demo', users => 300, objects => 40, targets => 1);
	GRANT USAGE ON SCHEMA demo TO owner, trainer;
	GRANT SELECT ON ALL TABLES IN SCHEMA demo TO owner, trainer;
	SET ROLE owner;
	SELECT behavpred.create_graph('demo', 'demo.events');
	SELECT behavpred.train_graph('demo', epochs => 0, dimension => 8, factors => 2);
	SELECT behavpred.grant_on('graph', 'demo', 'train', 'trainer')});

# As a role that has logged in: its standard error, its output.
sub as_role
{
	my ($role, $statement) = @_;
	my ($status, $output, $error) = $node->psql('postgres', $statement, extra_params => [ '-U', $role ]);

	return ($error, $output);
}

my ($error) = as_role('stranger', "$job)");
like($error, qr/ERROR:  graph "demo" does not exist/, 'a stranger does not see the graph');
($error) = as_role('trainer', "$job, max_seconds => 0)");
like($error, qr/NOTICE:  training graph "demo" paused/, 'a trainer runs it');
is((as_role('owner', q{SELECT status || ' ' || role || ' ' || owner FROM behavpred.runs ORDER BY run_id DESC LIMIT 1}))[1],
	'paused trainer owner', 'the run belongs to the owner');
is((as_role('stranger', q{SELECT (SELECT count(*) FROM behavpred.runs) + (SELECT count(*) FROM behavpred.training_job)
	+ (SELECT count(*) FROM behavpred.training_checkpoint) + (SELECT count(*) FROM behavpred.training_checkpoint_part)}))[1], 0,
	'a stranger sees nothing of it');
($error) = as_role('owner', "$job)");
is($error, '', 'the owner goes on with it');
is((as_role('trainer', q{SELECT status || ' ' || role || ' ' || attempts FROM behavpred.runs ORDER BY run_id DESC LIMIT 1}))[1],
	'done owner 2', 'which the trainer sees');
($error) = as_role('trainer', "$job, seed => 5)");
is($error, '', 'the trainer trains to the end');
($error) = as_role('trainer', q{CALL behavpred.run_graph('demo', dimension => 7)});
like($error, qr/dimension 7/, 'and fails');
is((as_role('owner', q{SELECT status || ' ' || sqlstate FROM behavpred.runs ORDER BY run_id DESC LIMIT 1}))[1], 'failed 22023',
	'which the owner sees');

done_testing();
