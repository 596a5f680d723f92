# Perl's SDBM_File, held open from tie to untie: each process looks for the next free number
needs='perl'
right='process session'
size=2000
prepare()
{
    script store.pl <<'PERL'
use strict; use warnings; use Fcntl; use SDBM_File;
my ($path, $act, $size) = @ARGV;
tie(my %db, 'SDBM_File', $path, O_RDWR | O_CREAT, 0666) or die "tie: $!";
if ($act eq 'make') {
    $db{$_} = "value of $_" for 1 .. $size;
}
else {
    my $next = 1;
    while (my ($name, $value) = each %db) {
        die "damaged: $name" if $value ne "value of $name";
        $next = $name + 1 if $name >= $next;
        print "$name\n" if $act eq 'list';
    }
    $db{$next} = "value of $next" if $act eq 'insert';
}
untie %db;
PERL
}
setup()
{
    perl "$WORK/store.pl" "$TABLE/db" make "$size"
}
operation()
{
    run perl "$WORK/store.pl" "$TABLE/db" insert
}
list()
{
    perl "$WORK/store.pl" "$TABLE/db" list
}
expected()
{
    seq $((size + $#))
}
