# Perl's SDBM_File in long-lived processes that tie, change and untie again and again
needs='perl'
right='process session'
cycles=6
prepare()
{
    script store.pl <<'PERL'
use strict; use warnings; use Fcntl; use SDBM_File;
my ($path, $act, @names) = @ARGV;
my %db;
sub open_db { tie(%db, 'SDBM_File', $path, O_RDWR | O_CREAT, 0666) or die "tie: $!" }
if ($act eq 'insert') {
    for my $name (@names) {
        open_db;
        $db{$name} = "value of $name";
        my $counter = $db{counter};
        select undef, undef, undef, 0.0005; # others come in between, on whatever machine
        $db{counter} = $counter + 1;
        untie %db;
    }
    exit;
}
open_db;
if ($act eq 'make') {
    $db{$_} = "value of $_" for split ' ', join '', <STDIN>;
    $db{counter} = 0;
}
else {
    while (my ($name, $value) = each %db) {
        die "damaged: $name" if $name ne 'counter' && $value ne "value of $name";
        print $name eq 'counter' ? "counter $value\n" : "$name\n";
    }
}
untie %db;
PERL
}
setup()
{
    old_names | perl "$WORK/store.pl" "$TABLE/db" make
}
insert()
{
    run perl "$WORK/store.pl" "$TABLE/db" insert "$@"
}
list()
{
    perl "$WORK/store.pl" "$TABLE/db" list
}
expected()
{
    local worker
    old_names
    echo "counter $(($# * cycles))"
    for worker; do
        new_names "$worker"
    done
}
