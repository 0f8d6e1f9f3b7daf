# Embeddings in partitions and on other servers: a training writes them there, score() and
# audience() work there, and all is as with one table.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('here', "wal_level = replica\n");
my $remote = start_node('there', "log_statement = all\n");
my $train = q{dimension => 16, factors => 2, epochs => 2};
my $host = $remote->host;
my $port = $remote->port;

sub sql { return $node->safe_psql('postgres', $_[0]) }

# The users that an audience has, best first.
sub audience
{
	my ($arguments) = @_;

	return sql("SELECT string_agg(user_key || ' ' || probability, ',' ORDER BY rank) FROM behavpred.audience('buys', $arguments)");
}

# Digests of the models that trainings of all targets give, with all users as negatives and with few.
sub models
{
	my $digests = sql(q{SELECT auc, log_loss, n_negative FROM behavpred.train_target('buys', negative_ratio => 0.2)}) . "\n";

	foreach my $arguments ('', ', negative_ratio => 0.2')
	{
		sql("CALL behavpred.run_targets('demo'$arguments)");
		$digests .= sql(q{SELECT string_agg(target || ' ' || md5(model::text), E'\n' ORDER BY target)
			FROM (SELECT DISTINCT ON (target) target, model FROM behavpred.trained_model ORDER BY target, version DESC) m}) . "\n";
	}
	return $digests;
}

my $columns = q{(user_id bigint NOT NULL, embedding real[] NOT NULL, degree integer NOT NULL)};

make_graph($node, 'users => 1500, objects => 120, seed => 3');
sql(qq{
	CREATE EXTENSION postgres_fdw;
	CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw
		OPTIONS (host '$host', port '$port', dbname 'postgres', extensions 'behavpred', async_capable 'true', batch_size '500');
	CREATE USER MAPPING FOR CURRENT_USER SERVER there;
	CREATE TABLE vectors $columns PARTITION BY HASH (user_id);
	CREATE TABLE vectors_0 PARTITION OF vectors FOR VALUES WITH (MODULUS 3, REMAINDER 0);
	CREATE FOREIGN TABLE vectors_1 PARTITION OF vectors FOR VALUES WITH (MODULUS 3, REMAINDER 1) SERVER there;
	CREATE FOREIGN TABLE vectors_2 PARTITION OF vectors FOR VALUES WITH (MODULUS 3, REMAINDER 2) SERVER there;
	CREATE FOREIGN TABLE alone $columns SERVER there});
$remote->safe_psql('postgres', "CREATE TABLE vectors_1 $columns; CREATE TABLE vectors_2 $columns; CREATE TABLE alone $columns");

my $object = sql(q{SELECT object_id FROM demo.events WHERE kind = 'purchase' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1});
sql("SELECT behavpred.create_target('buys', 'demo', object => '$object')");
sql("SELECT FROM behavpred.train_graph('demo', $train)");
my $target = q{SELECT auc, pr_auc, n_positive, n_negative FROM behavpred.train_target('buys', options => '{"deploy": "always"}')};
my $quality = sql($target);
my @questions = ('size => 25', 'size => 25, exclude_known => false', 'fraction => 0.03', 'min_lift => 1.5',
	'size => 40, min_probability => 0.05, candidates => $$candidates$$',
	'fraction => 0.2, candidates => $$candidates$$');
sql('CREATE TABLE candidates AS SELECT user_id FROM demo_user_embedding WHERE user_id % 2 = 0');
my @answers = map { audience($_) } @questions;
my $vectors = sql('SELECT md5(string_agg(user_id || embedding::text || degree, $$,$$ ORDER BY user_id)) FROM demo_user_embedding');
my $users = sql('SELECT count(*) FROM demo_user_embedding');

# Targets of all kinds: they draw from one reading.
sql(qq{
	CREATE TABLE some_users AS SELECT user_id FROM demo_user_embedding WHERE user_id % 5 = 0;
	CREATE TABLE others AS SELECT user_id FROM demo_user_embedding WHERE user_id % 3 = 1;
	SELECT behavpred.create_target('listed', 'demo', seeds => 'some_users');
	SELECT behavpred.create_target('among', 'demo', object => '$object', candidates => 'candidates');
	SELECT behavpred.create_target('against', 'demo', object => '$object', negatives => 'others')});
my $models = models();
my @together = ('size => 25', 'size => 10, exclude_known => false', 'size => 15, candidates => $$candidates$$', 'size => 5000');

# The audiences of many targets, as one text.
sub audiences
{
	my ($arguments) = @_;

	return sql("SELECT string_agg(target || ' ' || user_key || ' ' || probability, ',' ORDER BY target, rank)
		FROM behavpred.audiences('{buys,listed,among,against}', $arguments)");
}

my @many = map { audiences($_) } @together;

# The same training, written elsewhere, gives the same vectors, models and audiences.
foreach my $table ('vectors', 'alone')
{
	is(sql("SELECT user_embeddings FROM behavpred.train_graph('demo', embeddings_table => '$table', $train)"),
		"public.$table", "a training writes to $table");
	is(sql("SELECT md5(string_agg(user_id || embedding::text || degree, ',' ORDER BY user_id)) FROM $table"), $vectors,
		'the same vectors');
	is(sql($target), $quality, 'the same model');
	is(models(), $models, 'the same models, byte for byte');
	for my $i (0 .. $#together)
	{
		is(audiences($together[$i]), $many[$i], "the same audiences: $together[$i]");
	}
	sql($target);				# of the others one may have been better, and deployed
	for my $i (0 .. $#questions)
	{
		is(audience($questions[$i]), $answers[$i], "the same audience: $questions[$i]");
	}
	is(sql("SELECT user_embeddings FROM behavpred.train_graph('demo', $train)"), "public.$table",
		'the next training writes to it without being told');
	sql($target);
}
cmp_ok($remote->safe_psql('postgres', 'SELECT count(*) FROM vectors_1') + $remote->safe_psql('postgres', 'SELECT count(*) FROM vectors_2'),
	'>', $users / 2, 'most users lie on the other server');

# What the other server was asked: the best of its own users, not all vectors.
{
	sql("SELECT FROM behavpred.train_graph('demo', embeddings_table => 'vectors', $train)");
	my $offset = -s $remote->logfile;

	sql(q{SELECT behavpred.train_target('buys', negative_ratio => 0.2, options => $${"deploy": "always"}$$)});
	my $sample = substr(slurp_file($remote->logfile), $offset);

	like($sample, qr/FROM public\.vectors_1 WHERE [^\n]*is_drawn\(user_id, degree[^\n]* 0\.\d+::double precision, 0\.\d+::double precision\)/,
		'a server chooses those who may be negatives');
	like($sample, qr/FROM public\.vectors_2 WHERE [^\n]*= ANY/, 'positives are asked for by key');
	unlike($sample, qr/SELECT user_id, embedding, degree FROM public\.vectors_1(?! WHERE)/, 'nobody asks for all vectors');

	$offset = -s $remote->logfile;
	audience('size => 10, min_lift => 1.5');
	my $asked = substr(slurp_file($remote->logfile), $offset);

	like($asked, qr/FROM public\.vectors_1 WHERE [^\n]*behavpred\.score\([^\n]*ORDER BY behavpred\.logit\([^\n]*DESC[^\n]*LIMIT 11/,
		'a partition filters, sorts and cuts on its server');
	like($asked, qr/FROM public\.vectors_2 WHERE [^\n]*LIMIT 11/, 'and so does the next');

	models();
	$offset = -s $remote->logfile;
	audiences('size => 10');
	$asked = substr(slurp_file($remote->logfile), $offset);
	like($asked, qr/FROM public\.vectors_1 WHERE [^\n]*ORDER BY behavpred\.logit\([^\n]*DESC[^\n]*LIMIT 11/, 'so do the targets of audiences()');
	unlike($asked, qr/SELECT user_id, embedding, degree FROM/, 'who do not ask for all vectors');

	sql('CREATE TABLE strangers AS SELECT 1000000000 + user_id AS user_id FROM candidates');
	my (undef, undef, $warning) = $node->psql('postgres', q{SELECT count(*) FROM behavpred.audience('buys', candidates => 'strangers')});
	like($warning, qr/WARNING:  public\.strangers has no user whom graph "demo" knows/, 'candidates whom nobody knows');

	# a long list of users who are left out
	sql(q{
		CREATE TABLE seeds AS SELECT user_id FROM vectors WHERE user_id % 2 = 0;
		SELECT behavpred.create_target('seeded', 'demo', seeds => 'seeds');
		SELECT FROM behavpred.train_target('seeded')});
	$offset = -s $remote->logfile;
	sql(q{SELECT count(*) FROM behavpred.audience('seeded', size => 10)});
	like(substr(slurp_file($remote->logfile), $offset), qr/FROM public\.vectors_1 WHERE [^\n]*ALL[^\n]*LIMIT 11/,
		'users who are left out are left out there');

	$offset = -s $remote->logfile;
	audience('fraction => 0.01');
	like(substr(slurp_file($remote->logfile), $offset), qr/SELECT count\(\*\) FROM public\.vectors_1/, 'candidates are counted there');
}

# score() in a statement of one's own, the model as a value from a table of this server.
{
	my $plan = sql(q{
		EXPLAIN (VERBOSE, COSTS OFF)
		SELECT user_id FROM vectors
		WHERE behavpred.score((SELECT model FROM behavpred.trained_model WHERE target = 'buys' ORDER BY version DESC LIMIT 1), embedding) > 0.1});

	like($plan, qr/Async Foreign Scan on public\.vectors_1.*Remote SQL:[^\n]*behavpred\.score\(/s, 'score() is pushed down, servers work at once');
	$plan = sql(q{
		PREPARE best AS
		SELECT user_id FROM vectors_1 ORDER BY behavpred.score((SELECT model FROM behavpred.trained_model
			WHERE target = 'buys' ORDER BY version DESC LIMIT 1), embedding) DESC LIMIT 5;
		EXPLAIN (VERBOSE, COSTS OFF) EXECUTE best});
	like($plan, qr/Remote SQL:[^\n]*ORDER BY behavpred\.score\([^\n]* DESC[^\n]*LIMIT 5/, 'so are sorting and cutting by it');
}

# A student of samples that lie in partitions: summed where they are, and the same as in memory.
{
	my $train = sub { return "SELECT trained FROM behavpred.train_student('$_[0]', $_[1])" };
	my $apart = sub {
		my ($one, $other) = @_;
		return sql("SELECT max(abs(behavpred.logit(($one), embedding) - behavpred.logit(($other), embedding))) FROM together");
	};
	my $sample = '(user_id bigint NOT NULL, embedding real[], label boolean, soft_label real, weight float8)';

	$remote->safe_psql('postgres', "CREATE TABLE samples_1 $sample");
	sql(qq{
		CREATE TABLE samples $sample PARTITION BY HASH (user_id);
		CREATE TABLE samples_0 PARTITION OF samples FOR VALUES WITH (MODULUS 2, REMAINDER 0);
		CREATE FOREIGN TABLE samples_1 PARTITION OF samples FOR VALUES WITH (MODULUS 2, REMAINDER 1) SERVER there;
		INSERT INTO samples SELECT user_id, embedding,
			abs(hashint8(user_id)) % 1000 < 900 / (1 + exp(-6 * embedding[2] + 3 * embedding[5])),
			1 / (1 + exp(-4 * embedding[2])), 0.5 + abs(hashint8(user_id + 7)) % 100 / 100.0
		FROM vectors WHERE user_id % 7 > 0;
		CREATE TABLE together AS SELECT * FROM samples;
		ALTER TABLE together SET (parallel_workers = 2);
		ANALYZE together});

	my $offset = -s $remote->logfile;
	is(sql(q{SELECT went_by_statements, n FROM behavpred.train_student('samples')}),
		't|' . sql('SELECT count(*) FROM together'), 'samples in partitions are summed by statements');
	like(substr(slurp_file($remote->logfile), $offset), qr/SELECT behavpred_internal\.student_sums\([^\n]* FROM public\.samples_1/,
		'a server sums its own samples');
	is(sql(q{SELECT went_by_statements FROM behavpred.train_student('together')}), 'f', 'samples in one table are read');
	sql('CREATE VIEW many AS SELECT t.* FROM together t, generate_series(1, 20)');
	is(sql(q{SET behavpred.max_memory = '1MB'; SELECT went_by_statements FROM behavpred.train_student('many')}), 't',
		'unless they do not fit into memory');
	foreach my $options ('soft_weight => 0', 'soft_weight => 0.5', q{options => '{"anchored": true}'}, q{options => '{"ridge": 0}'})
	{
		cmp_ok($apart->($train->('samples', $options), $train->('together', "by_statements => false, $options")), '<', 1e-5,
			"the same model as in memory, up to rounding: $options");
	}
	cmp_ok(sql(q{SELECT behavpred.auc(label, behavpred.logit((SELECT trained FROM behavpred.train_student('samples', 'mlp', '{6}', soft_weight => 0,
			options => '{"iterations": 15}')), embedding)) FROM together}), '>',
		sql(q{SELECT behavpred.auc(label, behavpred.logit((SELECT trained FROM behavpred.train_student('together', soft_weight => 0)), embedding)) FROM together}) - 0.02,
		'an mlp by statements is as good');

	my $plan = sql(q{
		SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
		EXPLAIN (COSTS OFF) SELECT behavpred_internal.student_sums('', embedding, label::int::float8, soft_label, weight) FROM together});
	like($plan, qr/Finalize Aggregate.*Gather.*Partial Aggregate/s, 'parallel workers sum their own samples');
	cmp_ok($apart->(q{SELECT trained FROM behavpred.train_student('together', by_statements => true)},
			$train->('together', 'by_statements => false')), '<', 1e-5, 'and the model is the same');

	my (undef, undef, $error) = $node->psql('postgres', q{SELECT behavpred.train_student('candidates')});
	like($error, qr/column "embedding" of "candidates" does not exist/, 'a relation without embeddings');
	sql(q{CREATE VIEW one_class AS SELECT embedding, true AS label FROM together});
	(undef, undef, $error) = $node->psql('postgres', q{SELECT behavpred.train_student('one_class', by_statements => true)});
	like($error, qr/there is no negative sample of positive weight among \d+/, 'one class alone');
	sql(q{CREATE VIEW wrong AS SELECT embedding, 2 AS label FROM together});
	(undef, undef, $error) = $node->psql('postgres', q{SELECT behavpred.train_student('wrong', by_statements => true)});
	like($error, qr/label 1 is 2, it must be 0 or 1/, 'a label that is none');
	(undef, undef, $error) = $node->psql('postgres', q{SELECT behavpred_internal.student_sums('\x42505331', embedding, 1, 0, 1) FROM together});
	like($error, qr/met stored bytes that do not decode/, 'a plan that is none');
	(undef, undef, $error) = $node->psql('postgres', q{SELECT behavpred_internal.student_sums_merge('\x00', '\x00')});
	like($error, qr/was called by itself/, 'a part of the aggregate by itself');
}

# Equal logits at the cut: the users with the smallest keys, wherever they lie.
{
	sql(q{CREATE TABLE tied AS SELECT embedding FROM vectors ORDER BY user_id LIMIT 1});
	sql(q{UPDATE vectors SET embedding = (SELECT embedding FROM tied)});
	is(sql(q{SELECT string_agg(user_key, ',' ORDER BY rank) FROM behavpred.audience('buys', size => 7, exclude_known => false)}),
		sql(q{SELECT string_agg(user_id::text, ',' ORDER BY user_id) FROM (SELECT user_id FROM vectors ORDER BY user_id LIMIT 7) v}),
		'ties are ordered by key');
}

# Who may read the whole, but not its partitions, is answered from the whole.
{
	my $user = $remote->safe_psql('postgres', 'SELECT current_user');

	sql(qq{
		CREATE ROLE reader;
		CREATE USER MAPPING FOR reader SERVER there OPTIONS (user '$user', password_required 'false');
		GRANT SELECT ON vectors TO reader;
		SELECT behavpred.grant_on('graph', 'demo', 'read', 'reader');
		GRANT USAGE ON SCHEMA demo TO reader;
		GRANT SELECT ON demo.events TO reader});
	is(sql(q{SET ROLE reader; SELECT count(*) FROM behavpred.audience('buys', size => 12, exclude_known => false)}) =~ s/\D//gr, 12,
		'a role without privileges on the partitions');
}

# Tables that do not fit, and who may give one.
{
	my (undef, undef, $error) = $node->psql('postgres', qq{SELECT behavpred.train_graph('demo', embeddings_table => 'candidates')});

	like($error, qr/embeddings do not fit into public\.candidates.*columns user_id bigint, embedding real\[\], degree integer; its columns are: user_id/s,
		'a table without the columns');
	(undef, undef, $error) = $node->psql('postgres', 'SELECT behavpred.train_graph($$demo$$, embeddings_table => NULL)');
	like($error, qr/embeddings_table must not be NULL/, 'NULL');
	sql(q{CREATE TABLE of_text (user_id text, embedding real[], degree integer)});
	(undef, undef, $error) = $node->psql('postgres', q{SELECT behavpred.train_graph('demo', embeddings_table => 'of_text')});
	like($error, qr/embeddings do not fit into/, 'keys of another type');

	sql("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.demo_user_embedding $columns");
	(undef, undef, $error) = $node->psql('postgres', q{SELECT behavpred.train_graph('demo', embeddings_table => 'elsewhere.demo_user_embedding')});
	like($error, qr/relation elsewhere\.demo_user_embedding exists, but is no embedding table of this graph/, 'a name by which drop_graph() would take it for its own');
	sql(q{
		CREATE ROLE trainer;
		GRANT USAGE ON SCHEMA demo TO trainer;
		GRANT SELECT ON demo.events TO trainer;
		SELECT behavpred.grant_on('graph', 'demo', 'train', 'trainer');
		GRANT EXECUTE ON FUNCTION behavpred.train_graph(text, regclass, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb) TO trainer});
	(undef, undef, $error) = $node->psql('postgres', q{SET ROLE trainer; SELECT behavpred.train_graph('demo', embeddings_table => 'vectors')});
	like($error, qr/only the owner of graph "demo" may give it a table/, 'another role');
}

# The tables are the owner's: dropping the graph leaves them.
{
	my (undef, undef, $notice) = $node->psql('postgres', q{SELECT behavpred.drop_graph('demo')});

	like($notice, qr/NOTICE:  table public\.vectors is left as it is/, 'drop_graph() says what it leaves');
	is(sql('SELECT count(*) FROM vectors'), $users, 'and leaves it');
}

done_testing();
