#!/usr/bin/perl
# A machine in Perl: foreign_client.pl URL HOSTNAME. Claims a job, runs it, and finishes it.
use strict;
use warnings;
use RPC::XML;
use RPC::XML::Client;

my ($url, $hostname) = @ARGV;
my $scheduler = RPC::XML::Client->new($url);
$RPC::XML::ALLOW_NIL = 1;
$RPC::XML::ENCODING = 'utf-8';

sub call {
    my $answer = $scheduler->send_request(@_);
    die "no answer: $answer\n" unless ref $answer;
    die sprintf("fault %d: %s\n", $answer->code, $answer->string) if $answer->is_fault;
    return $answer->value;
}

my $job = call('getJobForMachine', RPC::XML::string->new($hostname), RPC::XML::int->new(1));
print "job $job\n";
exit 0 unless $job;

my $data = call('getImportDataForJobID', RPC::XML::int->new($job));
print "source $data->{arguments}[3]\n";

my $alive = call('updateHeartbeat', RPC::XML::int->new($job),
    RPC::XML::string->new("Gr\x{fc}\x{df}e aus Perl"));
print "heartbeat $alive\n";

call('finishJobID', RPC::XML::int->new($job), RPC::XML::string->new('SUCCESS'),
    RPC::XML::base64->new("cloned\n"));
print "finished\n";

# The job is gone now, which is a fault with a code of its own.
my $late = $scheduler->send_request('updateHeartbeat', RPC::XML::int->new($job),
    RPC::XML::string->new('late'));
printf "late %d\n", $late->code;
