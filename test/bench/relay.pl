# relay.pl: sockets that pass on to servers' and count the bytes that go through, both ways.
#
#	perl relay.pl directory server-socket-directory ...
#
# Server number i is reached at directory/.s.PGSQL.(5432 + i); directory/bytes has the sum,
# directory/pid our process.
#
# Nothing is ever waited for but all sockets together: a session that reads from one server while
# the others have already answered would else wait for us, and we for it.
use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;

use constant MOST_PENDING => 1 << 20;

my ($directory, @servers) = @ARGV;
my ($readers, $writers) = (IO::Select->new, IO::Select->new);
my (%server_of, %other_end, %pending);
my $bytes = 0;

# Replace the file at once, so that nobody reads half of it.
sub tell_bytes
{
	open(my $file, '>', "$directory/new") or die "cannot write: $!";
	print $file "$bytes\n";
	close($file);
	rename("$directory/new", "$directory/bytes");
}

# A new session: a connection of ours to the server it asks for.
sub connect_client
{
	my ($listener) = @_;
	my $client = $listener->accept or return;
	my $connection = IO::Socket::UNIX->new(Peer => "$server_of{$listener}/.s.PGSQL.5432") or die "cannot connect: $!";

	@other_end{$client, $connection} = ($connection, $client);
	@pending{$client, $connection} = ('', '');
	$_->blocking(0) for $client, $connection;
	$readers->add($client, $connection);
}

sub disconnect
{
	my ($one) = @_;
	my $other = $other_end{$one};

	delete @other_end{$one, $other};
	delete @pending{$one, $other};
	foreach my $end ($one, $other)
	{
		$readers->remove($end);
		$writers->remove($end);
		close($end);
	}
}

# What came from one end waits for the other, whose sender is heard again when there is little left.
sub read_from
{
	my ($end) = @_;
	my $other = $other_end{$end};
	my $n = sysread($end, $pending{$other}, 65536, length($pending{$other}));

	return if !defined $n && $!{EAGAIN};
	if (!$n)
	{
		write_to($other) if length($pending{$other}) > 0;
		disconnect($end) if exists $other_end{$end};
		return;
	}
	$bytes += $n;
	$writers->add($other);
	$readers->remove($end) if length($pending{$other}) > MOST_PENDING;
}

sub write_to
{
	my ($end) = @_;
	my $n = syswrite($end, $pending{$end});

	return if !defined $n && $!{EAGAIN};
	return disconnect($end) if !defined $n;
	substr($pending{$end}, 0, $n, '');
	$writers->remove($end) if $pending{$end} eq '';
	$readers->add($other_end{$end}) if length($pending{$end}) <= MOST_PENDING;
}

open(my $pid, '>', "$directory/pid") or die "cannot write: $!";
print $pid "$$\n";
close($pid);
$SIG{PIPE} = 'IGNORE';
for my $i (0 .. $#servers)
{
	my $listener = IO::Socket::UNIX->new(Local => "$directory/.s.PGSQL." . (5433 + $i), Listen => 16) or die "cannot listen: $!";

	$server_of{$listener} = $servers[$i];
	$readers->add($listener);
}
tell_bytes();
while (my ($readable, $writable) = IO::Select->select($readers, $writers))
{
	foreach my $end (@$writable)
	{
		write_to($end) if exists $other_end{$end};
	}
	foreach my $end (@$readable)
	{
		if (exists $server_of{$end})
		{
			connect_client($end);
		}
		elsif (exists $other_end{$end})
		{
			read_from($end);
		}
	}
	tell_bytes();
}
