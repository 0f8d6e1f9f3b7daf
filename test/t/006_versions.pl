# Every place that states the version states the same one.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('versions');
my ($version) = source_file('behavpred.control') =~ /^default_version = '([^']+)'/m;

like($version, qr/^\d+\.\d+(\.\d+)?$/, 'the control file states a version');
is($node->safe_psql('postgres', q{SELECT behavpred.version()}), $version, 'behavpred.version()');
is($node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'behavpred'}),
	$version, 'the installed extension');
ok(-e "$ENV{BEHAVPRED_SOURCE}/sql/behavpred--$version.sql", 'the install script');

# PGXN wants three numbers.
my $three = $version =~ /^\d+\.\d+$/ ? "$version.0" : $version;
(my $meta = source_file('META.json')) =~ s/"meta-spec":.*?\}//s;
my @stated = $meta =~ /"version":\s*"([^"]+)"/g;
is_deeply(\@stated, [ $three, $three ], 'META.json');

my ($newest) = source_file('CHANGELOG.md') =~ /^## (\S+)/m;
is($newest, $version, 'CHANGELOG.md');

done_testing();
