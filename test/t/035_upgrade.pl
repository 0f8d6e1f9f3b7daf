# An upgraded 0.1 equals a fresh 0.2, catalog by catalog; what was trained before predicts
# after; and the library serves the SQL objects of 0.1 until they are upgraded.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('upgrade');
my ($version) = source_file('behavpred.control') =~ /^default_version = '([^']+)'/m;

$node->safe_psql('postgres', "CREATE DATABASE $_") foreach 'fresh', 'upgraded', 'old';
$node->safe_psql('fresh', 'CREATE EXTENSION behavpred');
$node->safe_psql($_, q{CREATE EXTENSION behavpred VERSION '0.1'}) foreach 'upgraded', 'old';

# Everything that belongs to the extension, one line an object: its kind, its name, and all
# that can be said of it. Members come by pg_depend; what hangs on their tables, by those.
my $catalog = q{
	SET search_path = pg_catalog;
	CREATE TEMPORARY VIEW members AS
	SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'behavpred';
	CREATE TEMPORARY VIEW relations AS
	SELECT c.* FROM pg_class c JOIN members m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid;
	CREATE FUNCTION pg_temp.acl(acl aclitem[]) RETURNS text LANGUAGE sql AS $$
	  SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(acl) a $$;

	SELECT 'member', pg_describe_object(classid, objid, 0), NULL FROM members
	UNION ALL
	SELECT 'function', p.oid::regprocedure::text, concat_ws(' | ', pg_get_function_arguments(p.oid),
	    pg_get_function_result(p.oid), p.prosrc, p.prosqlbody, p.provolatile, p.proparallel, p.proisstrict, p.prosecdef,
	    p.proleakproof, p.prokind, p.procost, p.prorows, p.proconfig, l.lanname, pg_temp.acl(p.proacl), p.prosupport)
	FROM pg_proc p JOIN members m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid JOIN pg_language l ON l.oid = p.prolang
	UNION ALL
	SELECT 'aggregate', a.aggfnoid::regprocedure::text, concat_ws(' | ', a.aggkind, a.aggnumdirectargs, a.aggtransfn, a.aggfinalfn, a.aggcombinefn,
	    a.aggserialfn, a.aggdeserialfn, a.aggtranstype::regtype, a.aggtransspace, a.agginitval, a.aggfinalmodify)
	FROM pg_aggregate a JOIN members m ON m.classid = 'pg_proc'::regclass AND m.objid = a.aggfnoid
	UNION ALL
	SELECT 'relation', c.oid::regclass::text, concat_ws(' | ', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
	    c.reloptions, pg_temp.acl(c.relacl), CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END)
	FROM relations c
	UNION ALL
	SELECT 'column', c.oid::regclass || '.' || a.attname, concat_ws(' | ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
	    a.attidentity, a.attgenerated, a.attstorage, a.attcollation, pg_get_expr(d.adbin, d.adrelid), pg_temp.acl(a.attacl))
	FROM relations c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
	UNION ALL
	SELECT 'constraint', c.oid::regclass || '.' || o.conname, pg_get_constraintdef(o.oid) FROM relations c JOIN pg_constraint o ON o.conrelid = c.oid
	UNION ALL
	SELECT 'index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM relations c JOIN pg_index i ON i.indrelid = c.oid
	UNION ALL
	SELECT 'policy', c.oid::regclass || '.' || p.polname, concat_ws(' | ', p.polcmd, p.polpermissive, p.polroles::text,
	    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
	FROM relations c JOIN pg_policy p ON p.polrelid = c.oid
	UNION ALL
	SELECT 'trigger', c.oid::regclass || '.' || t.tgname, pg_get_triggerdef(t.oid) FROM relations c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
	UNION ALL
	SELECT 'type', t.oid::regtype::text, concat_ws(' | ', t.typtype, t.typlen, t.typalign, t.typstorage, t.typinput, t.typoutput, t.typreceive, t.typsend)
	FROM pg_type t JOIN members m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
	UNION ALL
	SELECT 'cast', concat_ws(' as ', k.castsource::regtype, k.casttarget::regtype), concat_ws(' | ', k.castfunc::regprocedure, k.castcontext)
	FROM pg_cast k JOIN members m ON m.classid = 'pg_cast'::regclass AND m.objid = k.oid
	UNION ALL
	SELECT 'operator', o.oid::regoperator::text, concat_ws(' | ', o.oprcode, o.oprcom::regoperator, o.oprnegate::regoperator, o.oprrest, o.oprjoin)
	FROM pg_operator o JOIN members m ON m.classid = 'pg_operator'::regclass AND m.objid = o.oid
	UNION ALL
	SELECT 'sequence', c.oid::regclass::text, concat_ws(' | ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle)
	FROM relations c JOIN pg_sequence s ON s.seqrelid = c.oid
	UNION ALL
	SELECT 'comment', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description
	FROM pg_description d WHERE pg_describe_object(d.classoid, d.objoid, d.objsubid) LIKE '%behavpred%'
	UNION ALL
	SELECT 'initial privileges', pg_describe_object(p.classoid, p.objoid, p.objsubid), pg_temp.acl(p.initprivs)
	FROM pg_init_privs p JOIN members m ON m.classid = p.classoid AND m.objid = p.objoid
	UNION ALL
	SELECT 'dumped', x.oid::regclass::text, e.extcondition[x.n] FROM pg_extension e, unnest(e.extconfig) WITH ORDINALITY AS x (oid, n)
	WHERE e.extname = 'behavpred'
	UNION ALL
	SELECT 'extension', extname, concat_ws(' | ', extversion, extrelocatable, extnamespace::regnamespace) FROM pg_extension WHERE extname = 'behavpred'
	ORDER BY 1, 2, 3};

# Data of 0.1: a graph, a target, its model.
sub train
{
	my ($database) = @_;

	$node->safe_psql($database, q{
		SELECT FROM behavpred.demo_data('demo', users => 600, objects => 60, targets => 1);
		SELECT behavpred.create_graph('demo', 'demo.events', behavior_column => 'kind', behaviors => '{click,purchase}');
		SELECT behavpred.create_target('campaign', 'demo', object => '61');
		SELECT behavpred.train_graph('demo', dimension => 8, epochs => 2);
		SELECT behavpred.train_target('campaign')});
}

my $use = q{
	SELECT md5(string_agg(float8send(behavpred.predict('campaign', user_id)), '' ORDER BY user_id)) FROM demo.users;
	SELECT md5(string_agg(float8send(behavpred.score(m.model, e.embedding)), '' ORDER BY user_id))
	FROM behavpred.trained_model m, demo_user_embedding e WHERE m.version = 1;
	SELECT md5(string_agg(a::text, ' ')) FROM behavpred.audience('campaign', 50) a;
	SELECT md5(string_agg(r::text, ' ')) FROM behavpred.recommend('demo', 7) r;
	SELECT count(*) FROM behavpred.describe_graph('demo');
	SELECT graph, user_embeddings FROM behavpred.graphs;
	SELECT target, deployed_version FROM behavpred.targets};

# The library serves the objects of 0.1.
{
	train('old');
	is($node->safe_psql('old', q{SELECT extversion FROM pg_extension WHERE extname = 'behavpred'}), '0.1', 'SQL objects of 0.1');
	is($node->safe_psql('old', 'SELECT behavpred.version()'), $version, "under the library of $version");
	like($node->safe_psql('old', $use), qr/^[0-9a-f]{32}\n[0-9a-f]{32}\n[0-9a-f]{32}\n[0-9a-f]{32}\n/, 'predict, score, audience, recommend');
	is($node->safe_psql('old', q{SELECT version FROM behavpred.train_target('campaign', seed => 3)}), '2', 'train_target');
	is($node->safe_psql('old', q{SELECT epochs_run FROM behavpred.train_graph('demo', dimension => 8, epochs => 1)}), '1', 'train_graph');
	is($node->safe_psql('old', q{SELECT behavpred.train_target('campaign') IS NOT NULL; SELECT behavpred.audience_into('campaign', 'list', 10)}), "t\n10", 'audience_into');
	$node->safe_psql('old', q{
		CREATE ROLE plain;
		GRANT CREATE ON SCHEMA public TO plain;
		GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA behavpred TO plain;
		CREATE TABLE few AS SELECT user_id, object_id FROM demo.events WHERE kind = 'click';
		GRANT SELECT ON few TO plain;
		SET ROLE plain;
		SELECT behavpred.create_graph('few', 'few');
		SELECT behavpred.train_graph('few', dimension => 8, epochs => 0);
		SELECT behavpred.create_target('first', 'few', object => '1');
		SELECT behavpred.train_target('first');
		SELECT behavpred.predict('first', 1);
		SELECT behavpred.drop_target('first');
		SELECT behavpred.drop_graph('few')});
	pass('another role from creating to dropping');
	my (undef, undef, $error) = $node->psql('old', q{SET ROLE plain; SELECT behavpred.predict('campaign', 1)});
	like($error, qr/ERROR:  target "campaign" does not exist/, 'and its rights are those of 0.1');
}

# An upgrade with data in place.
{
	train('upgraded');
	my $before = $node->safe_psql('upgraded', $use);

	$node->safe_psql('upgraded', "ALTER EXTENSION behavpred UPDATE TO '$version'");
	is($node->safe_psql('upgraded', $use), $before, 'after the upgrade all answers are those of before');
	is($node->safe_psql('upgraded', q{SELECT version FROM behavpred.train_target('campaign')}), '2', 'training goes on');
	$node->safe_psql('upgraded', q{SELECT behavpred.grant_on('target', 'campaign', 'predict', 'plain')});
	is($node->safe_psql('upgraded', q{SET ROLE plain; SELECT behavpred.predict('campaign', 1) > 0}), 't', 'and what is new works');
}

# Catalog by catalog.
{
	my %objects;

	foreach my $database ('fresh', 'upgraded')
	{
		my $listing = $node->safe_psql($database, $catalog);

		push @{ $objects{$_}{$database} }, 1 foreach split /\n(?=[a-z ]+\|)/, $listing =~ s/\A(SET|CREATE[^\n]*)\n//gr;
	}
	my @missing = grep { !$objects{$_}{upgraded} } sort keys %objects;
	my @surplus = grep { !$objects{$_}{fresh} } sort keys %objects;

	cmp_ok(scalar keys %objects, '>', 300, 'the catalogs have been read');
	is(join("\n", @missing), '', 'the upgrade lacks nothing of a fresh install');
	is(join("\n", @surplus), '', 'and has nothing beside it');
}

done_testing();
