# relay.pl: sockets that pass on to servers' and count the bytes that go through, both ways.
#
#	perl relay.pl directory server-socket-directory ...
#
# Server number i is reached at directory/.s.PGSQL.(5432 + i); directory/bytes has the sum.
use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;

my ($directory, @servers) = @ARGV;
my $select = IO::Select->new;
my (%server_of, %other_end);
my $bytes = 0;

# Replace the file at once, so that nobody reads half of it.
sub tell_bytes
{
	open(my $file, '>', "$directory/new") or die "cannot write: $!";
	print $file "$bytes\n";
	close($file);
	rename("$directory/new", "$directory/bytes");
}

# All of it, however long the receiver takes.
sub pass_on
{
	my ($to, $data) = @_;
	my $done = 0;

	while ($done < length($data))
	{
		my $n = syswrite($to, $data, length($data) - $done, $done);

		return unless defined $n;
		$done += $n;
	}
}

for my $i (0 .. $#servers)
{
	my $listener = IO::Socket::UNIX->new(Local => "$directory/.s.PGSQL." . (5433 + $i), Listen => 16) or die "cannot listen: $!";

	$server_of{$listener} = $servers[$i];
	$select->add($listener);
}
tell_bytes();
while (1)
{
	foreach my $ready ($select->can_read)
	{
		if (my $server = $server_of{$ready})
		{
			my $client = $ready->accept;
			my $connection = IO::Socket::UNIX->new(Peer => "$server/.s.PGSQL.5432") or die "cannot connect: $!";

			@other_end{$client, $connection} = ($connection, $client);
			$select->add($client, $connection);
			next;
		}
		my $other = $other_end{$ready} or next;
		my $n = sysread($ready, my $data, 65536);

		if (!$n)
		{
			delete @other_end{$ready, $other};
			$select->remove($ready, $other);
			close($_) for $ready, $other;
			tell_bytes();
			next;
		}
		pass_on($other, $data);
		$bytes += $n;
		tell_bytes();
	}
}
