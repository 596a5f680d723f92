# Perl's Storable: retrieve, change, store
needs='perl'
right='process'
refused='session'
prepare()
{
    script store.pl <<'PERL'
use strict; use warnings; use Storable;
my ($path, $act, $name) = @ARGV;
my $items = $act eq 'make' ? {} : retrieve $path;
if ($act eq 'make') { chomp, $items->{$_} = 1 for <STDIN> }
elsif ($act eq 'insert') { $items->{$name} = 1 }
elsif ($act eq 'delete') { delete $items->{$name} or die 'no such item' }
else { print "$_\n" for keys %$items; exit }
store $items, $path;
PERL
}
setup()
{
    old_names | perl "$WORK/store.pl" "$TABLE/items" make
}
insert()
{
    run perl "$WORK/store.pl" "$TABLE/items" insert "$1"
}
delete()
{
    run perl "$WORK/store.pl" "$TABLE/items" delete "$1"
}
list()
{
    perl "$WORK/store.pl" "$TABLE/items" list
}
