# Every SQL block of README.md and doc/ is run, and what is shown of its output compared.
#
# A page runs in a database of its own, its blocks one after another. A statement with the
# comment "-- fails: words" has to fail with a message that holds the words; every other has
# to succeed. A block that begins with "-- Not run:" says there why. Output that is shown is
# compared cell by cell: everything is seeded. But the training that the README shows takes half a
# minute: it is lessened, and what comes after it compared by columns and number of rows, except in
# the long run (make test-long).
#
# The examples for Grafana and dbt, META.json and doc/functions.md are checked beside it.
use strict;
use warnings;

use BehavpredTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('documents');
my $long = $ENV{BEHAVPRED_LONG};

# Databases to begin from: the tables of the scene, a trained graph over them, trained targets.
sub make_stages
{
	$node->safe_psql('postgres', 'CREATE ROLE shop_app; CREATE ROLE analyst; CREATE DATABASE empty; CREATE DATABASE tables');
	$node->safe_psql('tables', "CREATE EXTENSION behavpred;\n" . source_file('test/t/documents_scene.sql'));
	$node->safe_psql('postgres', 'CREATE DATABASE graph TEMPLATE tables');
	$node->safe_psql('graph', q{
		SELECT behavpred.create_graph('shop', 'events', behavior_column => 'kind', behaviors => '{click,purchase}', time_column => 'happened_at');
		SELECT FROM behavpred.train_graph('shop', epochs => 2);
		CREATE TABLE samples AS
		SELECT e.embedding, v.user_id IS NOT NULL AS label, 0.1::float8 AS soft_label, 1::float8 AS weight
		FROM shop_user_embedding e LEFT JOIN vip_users v USING (user_id)});
	$node->safe_psql('postgres', 'CREATE DATABASE targets TEMPLATE graph');
	$node->safe_psql('targets', q{
		SELECT behavpred.create_target('buys_42', 'shop', object => '42'), behavpred.create_target('vip', 'shop', object => '42', seeds => 'vip_users');
		SELECT FROM behavpred.train_targets('shop'); SELECT FROM behavpred.train_target('buys_42', seed => 3, options => '{"deploy": "always"}')});
}

my %stage = ('README.md' => 'empty', 'doc/quickstart.md' => 'tables', 'doc/targets.md' => 'graph');

# The training of the README, but for the long run, in a smaller size.
my $whole_training = qr/(train_graph\('shop'), threads => 2\)/;

sub lessen
{
	my ($sql) = @_;

	$sql =~ s/$whole_training/$1, dimension => 16, epochs => 0, threads => 2)/ if !$long;
	return $sql;
}

# The blocks of a page, as [statements, output shown].
sub blocks_of
{
	my ($page) = @_;
	my $text = source_file($page);
	my @blocks;

	while ($text =~ /^```sql\n(.*?)^```/msg)
	{
		my $block = $1;
		my ($sql, $output) = $block =~ /\A(.*?;[^\n]*\n)(?:\n+(?=[^\n]*\S[^\n]*\n[-+]+\n)(.*))?\z/s ? ($1, $2) : ($block, undef);

		push @blocks, [ $sql, $output ];
	}
	return @blocks;
}

# Tables in the output of psql: each a list of columns and a list of rows.
sub tables_of
{
	my ($text) = @_;
	my @tables;

	while ($text =~ /^([^\n]+)\n-[-+]*\n((?:[^\n]*[^\n ][^\n]*\n|\s*\n(?=\s*\(|\s*\z))*)/mg)
	{
		my ($head, $body) = ($1, $2);
		my @rows = grep { !/^\s*\(\d+ rows?\)|^\s*$/ } split /\n/, $body;

		push @tables, { columns => [ map { s/^\s+|\s+$//gr } split /\|/, $head ],
			rows => [ map { [ map { s/^\s+|\s+$//gr } split /\|/, $_, -1 ] } @rows ] };
	}
	return @tables;
}

# Are two cells the same? Kernels of another processor round differently, which may show in the last
# digit (three of an AUC: measured between the kernels for AVX2 and the portable ones), in who stands before
# whom among those who are all but equal, and in the lift of a handful of users.
sub alike
{
	my ($column, $shown, $got, $trained) = @_;

	return 1 if $shown eq $got || ($trained && $column =~ /^(user_id|user_key|age)$/);
	return 0 if !$trained || $got !~ /^-?[0-9.]+$/ || $shown !~ /^-?[0-9]+\.([0-9]+)$/;
	return abs($shown - $got) <= ($column =~ /^lift_at/ ? $shown / 4 : 1.01 * 10**-length($1));
}

sub compare_tables
{
	my ($name, $shown, $got, $exact, $trained) = @_;
	my @shown = tables_of($shown);
	my @got = tables_of($got);

	ok(@shown > 0, "$name: the output shown has tables");
	for my $i (0 .. $#shown)
	{
		my ($a, $b) = ($shown[$i], $got[ @got - @shown + $i ]);
		my $table = "$name, table " . ($i + 1);

		is_deeply($b->{columns}, $a->{columns}, "$table: columns");
		is(scalar @{ $b->{rows} }, scalar @{ $a->{rows} }, "$table: rows");
		next if !$exact;
		my @differing;
		for my $r (0 .. $#{ $a->{rows} })
		{
			push @differing, map { "$a->{columns}[$_]: $a->{rows}[$r][$_] shown, " . ($b->{rows}[$r][$_] // 'nothing') . ' here' }
			  grep { !alike($a->{columns}[$_], $a->{rows}[$r][$_] // '', $b->{rows}[$r][$_] // '', $trained) } 0 .. $#{ $a->{columns} };
		}
		is(join("\n", @differing), '', "$table: what is in it");
	}
}

# Run the blocks of a page in one session; what each of them printed.
sub run_blocks
{
	my ($database, @blocks) = @_;
	my $script = join '', map { "\\echo ==== block\n" . lessen($_->[0] =~ s/\\watch \d+/;/gr) . "\n" } @blocks;
	my ($file, $output) = ($node->basedir . "/$database.sql", '');

	append_to_file($file, $script);
	IPC::Run::run([ 'psql', '-X', '-d', $node->connstr($database), '-f', $file ], '>&', \$output);
	my (undef, @printed) = split /^==== block\n/m, $output;
	return @printed;
}

sub has_vector
{
	return $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'});
}

# Blocks that say why they are not run; those that need an extension are run where it is installed.
sub is_left_out
{
	my ($page, $sql) = @_;
	my ($why) = $sql =~ /^-- Not run: ([^\n]+)/ or return 0;
	my ($extension) = $why =~ /^needs the extension (\w+)/;

	return 0 if ($extension // '') eq 'vector' && has_vector();
	diag("$page: a block is NOT RUN: $why");
	SKIP: { skip("$page: $why", 1) }
	return 1;
}

sub check_page
{
	my ($page) = @_;
	my $database = lc($page =~ s/\W/_/gr);
	my @blocks = blocks_of($page);
	my @run = grep { !is_left_out($page, $_->[0]) } @blocks;

	return if !@run;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE " . ($stage{$page} // 'targets'));
	my @printed = run_blocks($database, @run);
	my $trained = 0;
	for my $i (0 .. $#run)
	{
		my ($sql, $shown) = @{ $run[$i] };
		my @failed = ($printed[$i] // 'ERROR:  not run') =~ /ERROR:  ([^\n]*)/g;
		my @expected = $sql =~ /-- fails: ([^\n]*)/g;
		my ($first) = $sql =~ /([^\n]*)/;
		my $agree = @failed == @expected && !grep { index($failed[$_], $expected[$_]) < 0 } 0 .. $#failed;

		ok($agree, "$page: $first") or diag($printed[$i]);
		$trained ||= $sql =~ $whole_training;
		compare_tables("$page, block " . ($i + 1), $shown, $printed[$i], $long || !$trained, $trained) if defined $shown;
	}
}

# The queries of doc/neighbours.md for pgvector, their index left aside, find what the exact functions find.
sub check_vector_queries
{
	my ($page) = source_file('doc/neighbours.md') =~ /^CREATE EXTENSION vector;\n(.*?)^```/ms;
	my %exact = (score => q{recommend('shop', 7)}, similarity => q{similar_objects('shop', 42)});
	my $asked = 0;

	return if !has_vector();
	while ($page =~ /^(SELECT object_id, [^;]*? AS (score|similarity)\b.*?);/msg)
	{
		my ($query, $measure) = ($1, $2);
		my $list = "SELECT string_agg(%s || ' ' || round($measure\::numeric, 4), ', ' ORDER BY $measure DESC) FROM ";

		is($node->safe_psql('doc_neighbours_md', 'SET enable_indexscan = off; ' . sprintf($list, 'object_id') . "($query) AS theirs"),
			$node->safe_psql('doc_neighbours_md', sprintf($list, 'object_key') . "behavpred.$exact{$measure}"), "doc/neighbours.md: $exact{$measure}");
		$asked++;
	}
	is($asked, 2, 'doc/neighbours.md: both queries have been compared');
}

# Every query of the dashboard, with Grafana's macros and variables filled in.
sub check_dashboard
{
	my $dashboard = decode_json(source_file('doc/examples/grafana.json'));
	my @queries = ((map { $_->{query} } @{ $dashboard->{templating}{list} }),
		map { map { $_->{rawSql} } @{ $_->{targets} } } @{ $dashboard->{panels} });

	cmp_ok(scalar @queries, '>', 10, 'the dashboard has queries');
	foreach my $query (@queries)
	{
		my $filled = $query =~ s/\$__timeFilter\((\w+)\)/$1 BETWEEN now() - interval '30 days' AND now()/gr =~ s/\$graph/'shop'/gr;

		my ($status, undef, $error) = $node->psql('targets', $filled);

		is($status, 0, "dashboard: $query") or diag($error);
	}
	is($node->safe_psql('targets', q{SELECT string_agg(DISTINCT metric, ' ' ORDER BY metric) FROM behavpred.quality_history WHERE metric IN ('auc', 'ndcg_at_20', 'lift_at_1pct', 'seconds')}),
		'auc lift_at_1pct ndcg_at_20 seconds', 'and what it draws is there');
}

# The two macros of dbt, filled in as dbt does with arguments.
sub check_dbt
{
	my $macros = source_file('doc/examples/dbt/macros/behavpred.sql');
	my %arguments = (target => 'buys_42', size => 20);
	my $n = 0;

	while ($macros =~ /\{% macro (\w+)\(([^)]*)\) %\}(.*?)\{% endmacro %\}/sg)
	{
		my ($name, $body) = ($1, $3);
		my $sql = $body =~ s/\{\{ (\w+) \}\}/$arguments{$1}/gr;

		$n++;
		cmp_ok($node->safe_psql('targets', "SELECT count(*) FROM ($sql) AS macro" =~ s/\(\s*SELECT/(SELECT/r), '>', 0, "dbt: $name");
	}
	is($n, 2, 'dbt: two macros');
}

# The image's demonstration without pg_cron, on less data; its build installs what the README's does.
sub check_docker
{
	my $demo = source_file('docker/demo.sql') =~ s/^[^\n]*cron[^\n]*\n//mgr =~ s/users => 3000/users => 600/r;
	my ($packages) = source_file('README.md') =~ /^apt-get install ([^\n]+)/m;
	my $dockerfile = source_file('docker/Dockerfile') =~ s/\$\{PG_MAJOR\}/15/gr;

	$node->safe_psql('postgres', 'CREATE DATABASE docker');
	my ($status, $output, $error) = $node->psql('docker', $demo, on_error_die => 0);
	is($status, 0, 'docker/demo.sql') or diag($error);
	is($node->safe_psql('docker', q{SELECT count(*) FROM behavpred.models WHERE deployed}), '1', 'docker/demo.sql: a model is deployed');
	is(join(' ', grep { $dockerfile !~ /[\s"]\Q$_\E[\s"]/ && $_ ne 'postgresql-15' } split ' ', $packages), '', 'the Dockerfile installs what the README does');
}

# META.json as PGXN wants it, and no version that differs from the others.
sub check_meta
{
	my $meta = decode_json(source_file('META.json'));
	my ($version) = source_file('behavpred.control') =~ /^default_version = '([^']+)'/m;

	is(join(' ', grep { !defined $meta->{$_} } qw(name version abstract maintainer license provides meta-spec)), '', 'META.json has what PGXN requires');
	like($meta->{version}, qr/^\Q$version\E\.\d+$/, 'META.json: version');
	is($meta->{provides}{behavpred}{version}, $meta->{version}, 'META.json: version of the extension');
	ok(-f "$ENV{BEHAVPRED_SOURCE}/$meta->{provides}{behavpred}{$_}", "META.json: $_ is there") foreach 'file', 'docfile';
	like(source_file('debian/changelog'), qr/\Abehavpred \(\Q$meta->{version}\E-\d+\)/, 'debian/changelog: version');
}

# Each function that users call is in doc/functions.md with all its arguments.
sub check_functions
{
	my $page = source_file('doc/functions.md');
	my %section = map { /\A(\w+)/ ? ($1 => $_) : () } split /^### /m, $page;
	my $public = $node->safe_psql('targets', q{
		SELECT p.proname, string_agg(DISTINCT a.name, ' ')
		FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'behavpred'
		LEFT JOIN LATERAL (SELECT name FROM unnest(coalesce(p.proargnames, '{}'), coalesce(p.proargmodes::text[], '{}')) AS u (name, mode)
		                   WHERE coalesce(mode, 'i') IN ('i', 'b', 'v')) a ON true
		WHERE p.pronamespace = 'behavpred'::regnamespace
		GROUP BY p.proname ORDER BY p.proname});
	my %public;

	foreach (split /\n/, $public)
	{
		my ($name, $arguments) = split /\|/;

		$public{$name} = 1;
		is(join(' ', grep { ($section{$name} // '') !~ /\b$_\b/ } split / /, $arguments // ''), '', "doc/functions.md: arguments of $name") if ok(exists $section{$name}, "doc/functions.md: $name");
	}
	is(join(' ', grep { !$public{$_} } sort keys %section), '', 'doc/functions.md has none that is gone');
	foreach my $call ("train_graph('shop'", "train_target('buys_42'")
	{
		my ($function) = $call =~ /(\w+)/;
		my (undef, undef, $error) = $node->psql('targets', "SELECT behavpred.$call, options => '{\"zzzzzzzzzzzz\": 1}')");
		my ($options) = $error =~ /HINT:  Choose one of: (.*)\./;

		is(join(' ', grep { $section{$function} !~ /^\|[^|]*`$_`/m } split /, /, $options // 'none'), '', "doc/functions.md: options of $function");
	}
	cmp_ok(scalar keys %public, '>', 40, 'the functions have been read');
}

# The map of the core has every file.
sub check_map
{
	my ($map) = source_file('doc/internals.md') =~ /^(\| core \| does \|.*?)\n\n/ms;
	my @rooms = map { s/\*/\\w*/r } $map =~ /`(\w+\*?)/g;
	my $rooms = join '|', @rooms;
	my @files = map { m{(\w+)\.c$} } glob "$ENV{BEHAVPRED_SOURCE}/src/core/*.c";

	cmp_ok(scalar @files, '>', 50, 'the core has been read');
	is(join(' ', grep { !/^($rooms)$/ } @files), '', 'doc/internals.md: the map names every file of the core');
}

make_stages();
check_page($_) foreach 'README.md', map { s/^\Q$ENV{BEHAVPRED_SOURCE}\E\///r } sort glob "$ENV{BEHAVPRED_SOURCE}/doc/*.md";
check_vector_queries();
check_dashboard();
check_dbt();
check_docker();
check_meta();
check_functions();
check_map();
done_testing();
