# A hostile schema ahead of pg_catalog, statements in every text argument, and names that
# want to be statements.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('hostile');

# A schema that somebody has put in the place of the extension's own is not made use of.
{
	$node->safe_psql('postgres', 'CREATE DATABASE occupied');
	$node->safe_psql('occupied', 'CREATE SCHEMA behavpred_internal');
	my (undef, undef, $error) = $node->psql('occupied', 'CREATE EXTENSION behavpred');
	like($error, qr/ERROR:  schema "behavpred_internal" already exists/, 'a schema of that name is in the way');
}

# What the catalog says of the extension.
{
	my $members = q{FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'behavpred'
		JOIN pg_language l ON l.oid = p.prolang};

	cmp_ok($node->safe_psql('postgres', "SELECT count(*) $members"), '>', 80, 'the functions are found');
	is($node->safe_psql('postgres', "SELECT count(*) $members WHERE p.prosecdef"), '0', 'no function is SECURITY DEFINER');
	is($node->safe_psql('postgres', "SELECT string_agg(p.proname, ' ') $members WHERE l.lanname IN ('sql', 'plpgsql') AND p.proname <> 'run_nightly'
			AND NOT coalesce(p.proconfig, '{}') \@> '{\"search_path=pg_catalog, pg_temp\"}'"),
		'demo_uniform', 'every function in SQL but run_nightly(), which commits, sets its search_path but one, which is inlined and used by another that does');
	is($node->safe_psql('postgres', "SELECT string_agg(p.oid::regprocedure::text, ' ') $members WHERE p.pronamespace = 'behavpred'::regnamespace
			AND obj_description(p.oid, 'pg_proc') ~ '^(For (?!superusers|pg_cron)|Input of|Output of|Binary )'"), '', 'parts of functions, views and types are not among what users call');
	is($node->safe_psql('postgres', "SELECT string_agg(p.oid::regprocedure::text, ' ') $members WHERE p.pronamespace = 'behavpred_internal'::regnamespace
			AND NOT has_function_privilege('pg_read_all_stats', p.oid, 'EXECUTE')"), '', 'and go with whatever calls them, whoever may call that');
	is($node->safe_psql('postgres', q{SELECT string_agg(pg_describe_object(d.classid, d.objid, 0), ' ') FROM pg_depend d
			JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'behavpred'
			WHERE d.deptype = 'e' AND obj_description(d.objid, d.classid::regclass::name) IS NULL
			  AND NOT EXISTS (SELECT FROM pg_type t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid AND (t.typelem <> 0 OR t.typrelid <> 0))}), '', 'everything says what it is for');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'behavpred'::regnamespace AND relkind = 'v'
			AND NOT coalesce(reloptions, '{}') @> '{security_invoker=true}'}), '0', 'every view is read with its reader\'s privileges');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'behavpred'::regnamespace AND relkind = 'r'
			AND NOT relrowsecurity}), '0', 'every table keeps to row security');
	foreach my $script (glob("$ENV{BEHAVPRED_SOURCE}/sql/parts/*.sql"))
	{
		my $text = slurp_file($script);

		unlike($text, qr/CREATE (OR REPLACE|[A-Z ]*IF NOT EXISTS)|SET search_path (?!= pg_catalog, pg_temp)/i,
			"$script replaces nothing that was there before");
	}
}

# Each function that a user may call, on data of his own. <graph> is another in each pass.
my @calls = (
	q{SELECT behavpred.create_graph('<graph>', 'good.events', behavior_column => 'kind', behaviors => '{a}', value_column => 'spent',
		min_value => 0, time_column => 'at', since => '100 years', users => 'good.people')},
	q{SELECT count(*) FROM behavpred.describe_graph('<graph>')},
	q{SELECT count(*) FROM behavpred.estimate('<graph>', dimension => 8)},
	q{SELECT behavpred.create_target('<graph>_t', '<graph>', object => '5', seeds => 'good.seeds', horizon => '50 years')},
	q{SELECT behavpred.create_target('<graph>_u', '<graph>', objects => '{6,7}', candidates => 'good.people')},
	q{SELECT epochs_run FROM behavpred.train_graph('<graph>', dimension => 8, factors => 2, epochs => 1)},
	q{CALL behavpred.run_graph('<graph>', dimension => 8, factors => 2, epochs => 1)},
	q{SELECT recall FROM behavpred.evaluate_graph('<graph>', 'good.held_out')},
	q{SELECT auc FROM behavpred.train_target('<graph>_t')},
	q{SELECT auc FROM behavpred.train_targets('<graph>', options => '{"deploy": "always"}')},
	q{CALL behavpred.run_targets('<graph>')},
	q{SELECT behavpred.deploy('<graph>_t', 1)},
	q{SELECT behavpred.rollback('<graph>_t')},
	q{SELECT behavpred.predict('<graph>_t', 7), behavpred.predict('<graph>_t', '7')},
	q{SELECT behavpred.score(m.model, behavpred.embedding('<graph>', 7)) FROM behavpred.trained_model m LIMIT 1},
	q{SELECT behavpred.logit(m.model, behavpred.embedding('<graph>', 7)) FROM behavpred.trained_model m LIMIT 1},
	q{SELECT behavpred.capture_changes('<graph>')},
	q{SELECT * FROM behavpred.refresh('<graph>', users => '{7}')},
	q{SELECT behavpred.embed('<graph>', '{5,6}'::pg_catalog.text[])},
	q{CALL behavpred.run_refresh('<graph>')},
	q{SELECT behavpred.capture_changes('<graph>', 'none')},
	q{SELECT * FROM behavpred.audience('<graph>_t', 5)},
	q{SELECT * FROM behavpred.audiences('{<graph>_t,<graph>_u}', 5)},
	q{SELECT behavpred.audience_into('<graph>_t', 'good.list_<graph>', 5)},
	q{SELECT * FROM behavpred.audience_curve('<graph>_t')},
	q{SELECT * FROM behavpred.lookalike('<graph>', 'good.seeds', 5)},
	q{SELECT * FROM behavpred.evaluate('<graph>_t')},
	q{SELECT * FROM behavpred.roc_curve('<graph>_t')},
	q{SELECT * FROM behavpred.calibration_curve('<graph>_t')},
	q{SELECT behavpred.model_card('<graph>_t'), behavpred.model_card('<graph>_t', 'json'), behavpred.report_html('<graph>_t')},
	q{SELECT * FROM behavpred.explain('<graph>_t', 7)},
	q{SELECT * FROM behavpred.recommend('<graph>', 7, 3) a, behavpred.recommend('<graph>', '8', 3) b},
	q{SELECT * FROM behavpred.recommend_all('<graph>', 2)},
	q{SELECT * FROM behavpred.similar_users('<graph>', 7, 2), behavpred.similar_objects('<graph>', 7, 2)},
	q{SELECT behavpred.dot(behavpred.embedding('<graph>', 7), behavpred.object_embedding('<graph>', '7'))},
	q{SELECT behavpred.cosine('{1,2}', '{2,1}'), behavpred.version()},
	q{SELECT behavpred.auc(true, 0.5), behavpred.psi(0.5, 0.5), behavpred.log_loss(true, 0.5), behavpred.ndcg_at(true, 0.5, 1)},
	q{SELECT behavpred.import_model('<graph>_t', behavpred.export_model('<graph>_t'))},
	q{SELECT behavpred.grant_on('graph', '<graph>', 'train', 'public')},
	q{SELECT * FROM behavpred.privileges},
	q{SELECT behavpred.renew_grants('<graph>')},
	q{SELECT * FROM behavpred.embedding_grants('<graph>')},
	q{SELECT behavpred.revoke_on('graph', '<graph>', 'train', 'public')},
	q{SELECT * FROM behavpred.health, behavpred.storage},
	q{SELECT * FROM behavpred.graphs, behavpred.targets, behavpred.models, behavpred.metrics LIMIT 5},
	q{SELECT * FROM behavpred.runs, behavpred.training_log, behavpred.progress},
	q{SELECT * FROM behavpred.quality_history},
	q{SELECT property FROM behavpred.environment()},
	q{SELECT * FROM behavpred.forget_user('<graph>', 9) a, behavpred.forget_user('<graph>', '10'::pg_catalog.text) b},
	q{CALL behavpred.run_nightly('<graph>', retrain => 'always')},
	q{SELECT behavpred.set_graph_time('<graph>', half_life => '9 days', until => 'yesterday')},
	q{SELECT epochs_run FROM behavpred.train_graph('<graph>', dimension => 8, factors => 2, epochs => 1)},
	q{SELECT pairs FROM behavpred.evaluate_graph_after('<graph>', horizon => '1 day')},
	q{SELECT behavpred.set_graph_time('<graph>')},
	q{SELECT epochs_run FROM behavpred.train_graph('<graph>', dimension => 8, factors => 2, epochs => 1)},
	q{SELECT count(*) FROM behavpred.train_targets('<graph>')},
	q{SELECT n FROM behavpred.train_student('good.samples')},
	q{SELECT behavpred.set_behaviors('<graph>', weights => '{"a": 2}', typed => false)},
	q{CALL behavpred.run_maintenance()},
	q{SELECT count(*) FROM behavpred.demo_data('demo_<graph>', users => 50, objects => 20)},
	q{SELECT * FROM behavpred.check_drift('<graph>_t')},
	q{SELECT * FROM behavpred.check_graph_drift('<graph>')},
	q{SELECT behavpred.drop_target('<graph>_t')},
	q{SELECT behavpred.drop_graph('<graph>')},
	q{SELECT behavpred.reassign_owner('nobody', 'stranger')});

$node->safe_psql('postgres', q{
	CREATE ROLE stranger;
	CREATE TABLE canary (n int);
	CREATE SCHEMA good;
	CREATE TABLE good.events AS SELECT u AS user_id, o AS object_id, 'a'::text AS kind, 1.5::float8 AS spent, now() - u * interval '1 hour' AS at
	FROM generate_series(1, 200) u, generate_series(1, 20) o WHERE (u * 7 + o * 11) % 5 < 2;
	CREATE TABLE good.held_out AS SELECT user_id, 21 - object_id AS object_id FROM good.events;
	CREATE TABLE good.people AS SELECT DISTINCT user_id, user_id % 7 AS weekday, 'plan ' || user_id % 3 AS plan FROM good.events;
	CREATE TABLE good.samples AS SELECT ARRAY[u % 7, u % 5]::real[] AS embedding, u % 7 > 3 AS label FROM generate_series(1, 200) u;
	CREATE TABLE good.seeds AS SELECT user_id FROM good.people WHERE user_id % 4 = 0});

# Every function above is called.
{
	my $text = join ' ', @calls;
	my $names = $node->safe_psql('postgres', q{
		SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'behavpred'::regnamespace AND prokind <> 'a' ORDER BY 1});
	is(join(' ', grep { $text !~ /behavpred\.$_\(/ } split /\n/, $names), '', 'no function is left out');
}

# The hostile schema: an operator, a function and a table of every name that pg_catalog and the
# extension have for ordinary types, each of which tells that it was called.
$node->safe_psql('postgres', q{
	CREATE SCHEMA evil;
	DO $$
	DECLARE
	  types CONSTANT oid[] := '{bool,int2,int4,int8,float4,float8,numeric,text,name,oid,regclass,timestamptz,interval,jsonb,"\"char\"",bytea,
	    _text,_name,_int2,_int4,_int8,_float4,_float8,aclitem,_aclitem}'::regtype[]::oid[];
	  item record;
	BEGIN
	  FOR item IN SELECT p.oid, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, p.prorettype::regtype AS result, p.proretset
	    FROM pg_proc p WHERE p.pronamespace IN ('pg_catalog'::regnamespace, 'behavpred'::regnamespace, 'behavpred_internal'::regnamespace)
	      AND p.prokind = 'f' AND p.proargtypes::oid[] <@ types
	      AND p.prorettype = ANY (types || 'void'::regtype::oid) AND p.provariadic = 0 AND p.proname NOT IN ('hashint8extended')
	      AND (p.pronamespace = 'pg_catalog'::regnamespace OR p.proname <> 'version')
	      AND p.proargmodes IS NULL
	  LOOP
	    EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION $e$hijacked: function %s$e$; END''',
	      item.proname, item.arguments, CASE WHEN item.proretset THEN 'SETOF' ELSE '' END, item.result, item.proname);
	  END LOOP;
	  FOR item IN SELECT o.oid, o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result, o.oprleft <> 0 AS binary
	    FROM pg_operator o WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprright = ANY (types)
	      AND (o.oprleft = 0 OR o.oprleft = ANY (types)) AND o.oprresult = ANY (types)
	  LOOP
	    EXECUTE format('CREATE FUNCTION evil.operator_%s(%s%s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION $e$hijacked: operator %s$e$; END''',
	      item.oid, CASE WHEN item.binary THEN item.l || ', ' END, item.r, item.result, replace(item.oprname, '%', '%%'));
	    EXECUTE format('CREATE OPERATOR evil.%s (%s RIGHTARG = %s, FUNCTION = evil.operator_%s)',
	      item.oprname, CASE WHEN item.binary THEN 'LEFTARG = ' || item.l || ',' END, item.r, item.oid);
	  END LOOP;
	  FOR item IN SELECT c.relname FROM pg_class c WHERE c.relnamespace IN ('pg_catalog'::regnamespace, 'behavpred'::regnamespace)
	    AND c.relkind IN ('r', 'v') LOOP
	    EXECUTE format('CREATE TABLE evil.%I (hijacked int)', item.relname);
	  END LOOP;
	END $$});
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'evil'::regnamespace}), '>', 1000, 'many traps are set');
my (undef, undef, $sprung) = $node->psql('postgres', q{SET search_path = evil, pg_catalog; SELECT 1 = 1});
like($sprung, qr/hijacked: operator =/, 'and snap');

foreach my $pass ([ 'plain', 'good' ], [ 'trapped', 'evil, pg_catalog, good' ])
{
	my ($graph, $path) = @$pass;
	my $session = open_session($node);

	$session->query("SET search_path = $path");
	foreach my $call (@calls)
	{
		(my $statement = $call) =~ s/<graph>/$graph/g;
		my (undef, $error) = timed_query($session, $statement);

		is($error, '', "$graph: $statement");
	}
	$session->quit;
}

# Statements in every text and name argument: an answer or an error that tells of the
# argument, never a syntax error, and the canary lives.
{
	$node->safe_psql('postgres', q{
		SET search_path = good;
		SELECT behavpred.create_graph('shop', 'good.events');
		SELECT behavpred.create_target('t', 'shop', object => '5');
		SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 0);
		SELECT behavpred.train_target('t')});
	my @evil = (q{x'; DROP TABLE public.canary; --}, q{x"; DROP TABLE public.canary; --}, q{$$; DROP TABLE public.canary; --}, q{%s%n%I\\}, '', q{' OR true OR '});
	my $functions = $node->safe_psql('postgres', q{
		SELECT p.pronamespace::regnamespace || '.' || p.proname, p.prokind, array_to_string(p.proargtypes::regtype[], ';')
		FROM pg_proc p
		WHERE p.pronamespace IN ('behavpred'::regnamespace, 'behavpred_internal'::regnamespace) AND p.prokind <> 'a' AND p.prorettype <> 'trigger'::regtype
		  AND 'cstring'::regtype <> ALL (p.proargtypes) AND 'internal'::regtype <> ALL (p.proargtypes)
		  AND p.proargtypes::oid[] && '{text,name,_text,_name}'::regtype[]::oid[]
		ORDER BY 1});
	my %benign = (text => 'shop', name => 'user_id', 'text[]' => '{t}', 'name[]' => '{user_id}', regclass => 'good.events', anyelement => undef);
	my ($tried, $bad) = (0, '');
	my @statements;

	foreach my $line (split /\n/, $functions)
	{
		my ($name, $kind, $types) = split /\|/, $line;
		my @types = split /;/, $types;

		foreach my $place (grep { $types[$_] =~ /^(text|name)(\[\])?$/ } 0 .. $#types)
		{
			foreach my $evil (@evil)
			{
				my @arguments = map {
					my $value = $_ == $place ? ($types[$_] =~ /\[/ ? '{"' . ($evil =~ s/(["\\])/\\$1/gr) . '"}' : $evil) : $benign{ $types[$_] };
					!defined $value ? ($types[$_] eq 'anyelement' ? '7' : "NULL::$types[$_]") : do { (my $q = $value) =~ s/'/''/g; "'$q'::$types[$_]" }
				} 0 .. $#types;
				push @statements, ($kind eq 'p' ? 'CALL' : 'SELECT') . " $name(" . join(', ', @arguments) . ')';
			}
		}
	}
	my ($stdout, $stderr) = ('', '');
	my $script = "\\set VERBOSITY verbose\nSET search_path = good;\nSET client_min_messages = error;\n" .
	  join("\n", map { "$_;" } @statements) . "\n";
	$node->psql('postgres', $script, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, timeout => 300);
	my @bad = grep { /ERROR:  (42601|XX|58)|server closed/ } split /\n/, $stderr;
	cmp_ok(scalar @statements, '>', 200, 'many statements');
	cmp_ok(scalar(() = $stderr =~ /ERROR:/g), '>', 150, 'most are refused');
	is(join("\n", @bad), '', 'none as bad syntax or with an internal error');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM canary'), '0', 'the canary lives');
}

# NULL in every argument: what must be given is asked for, the rest is an answer.
{
	my $statements = $node->safe_psql('postgres', q{
		SELECT format('%s %s(%s);', CASE prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, oid::regproc,
			(SELECT string_agg(format('NULL::%s', CASE type WHEN 'anyelement'::regtype THEN 'int'::regtype ELSE type END), ', ' ORDER BY n)
			 FROM unnest(proargtypes::regtype[]) WITH ORDINALITY AS a (type, n)))
		FROM pg_proc WHERE pronamespace = 'behavpred'::regnamespace AND prokind <> 'a' AND pronargs > 0
		  AND proname NOT IN ('run_targets', 'train_targets', 'run_maintenance') -- without arguments they mean all
		ORDER BY 1});
	my ($stdout, $stderr) = ('', '');

	$node->psql('postgres', "\\set VERBOSITY verbose\nSET search_path = good;\n$statements\n", stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, timeout => 300);
	my @errors = grep { /ERROR:/ } split /\n/, $stderr;
	cmp_ok(scalar @errors, '>', 30, 'most functions ask for an argument');
	is(join("\n", grep { !/ERROR:  (22004: \w+( and \w+)? must not be NULL|22023: )/ } @errors), '', 'by name');
}

# Names that want to be statements are names.
{
	my $output = $node->safe_psql('postgres', q{
		CREATE SCHEMA "s""; DROP TABLE public.canary; --";
		SET search_path = "s""; DROP TABLE public.canary; --";
		CREATE TABLE "t'; DROP TABLE public.canary; --" ("u""; --" text, "o'; --" text);
		INSERT INTO "t'; DROP TABLE public.canary; --"
		SELECT 'user ''' || u || '"; --', 'object "' || o || '''; --' FROM generate_series(1, 100) u, generate_series(1, 10) o WHERE (u * 7 + o * 11) % 5 < 2;
		SELECT users_found FROM behavpred.create_graph('odd', '"t''; DROP TABLE public.canary; --"', user_column => 'u"; --', object_column => 'o''; --');
		SELECT behavpred.create_target('t''; DROP TABLE public.canary; --', 'odd', object => 'object "5''; --');
		SELECT epochs_run FROM behavpred.train_graph('odd', dimension => 8, factors => 2, epochs => 1);
		SELECT version FROM behavpred.train_target('t''; DROP TABLE public.canary; --');
		SELECT behavpred.predict('t''; DROP TABLE public.canary; --', 'user ''7"; --') > 0;
		SELECT behavpred.audience_into('t''; DROP TABLE public.canary; --', '"list""; DROP TABLE public.canary; --"', 5);
		SELECT behavpred.grant_on('target', 't''; DROP TABLE public.canary; --', 'read', 'stranger');
		SELECT behavpred.revoke_on('target', 't''; DROP TABLE public.canary; --', 'read', 'stranger');
		SELECT sum(row_count) FROM behavpred.forget_user('odd', 'user ''7"; --') WHERE action = 'removed';
		SELECT behavpred.drop_graph('odd');
		CREATE TABLE "f'; DROP TABLE public.canary; --" ("u""; --" text, "a'; --" int, "b""; --" text);
		INSERT INTO "f'; DROP TABLE public.canary; --" SELECT 'user ''' || u || '"; --', u, 'b' FROM generate_series(1, 100) u;
		SELECT users_found FROM behavpred.create_graph('odd', '"t''; DROP TABLE public.canary; --"', user_column => 'u"; --', object_column => 'o''; --',
			users => '"f''; DROP TABLE public.canary; --"');
		SELECT behavpred.capture_changes('odd', mode) FROM unnest('{row,statement}'::text[]) mode;
		UPDATE "f'; DROP TABLE public.canary; --" SET "b""; --" = '''; DROP TABLE public.canary; --';
		SELECT users, objects FROM behavpred.freshness WHERE graph = 'odd';
		SELECT behavpred.drop_graph('odd');
		SELECT count(*) FROM public.canary});
	like($output, qr/^100\n\n1\n1\nt\n5\n\n\n3\n\n100\n2\n2\n100\|0\n\n0$/, 'from creating to dropping');
}

unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC|TRAP/, 'no process crashed');

done_testing();
