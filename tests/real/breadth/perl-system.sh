# Perl: reads a file, has a child process sort it, reads it again and writes it
needs='perl sort'
right='process'
prepare()
{
    script store.pl <<'PERL'
use strict; use warnings;
my ($path, $name) = @ARGV;
sub slurp { open my $in, '<', $path or die $!; chomp(my @lines = <$in>); @lines }
my @before = slurp;
system('sort', '-r', '-o', $path, $path) == 0 or die 'sort failed';
my @after = slurp;
die 'changed in between' if @after != @before;
open my $out, '>', $path or die $!;
print $out "$_\n" for @after, $name;
close $out or die $!;
PERL
}
setup()
{
    old_names >"$TABLE/items"
}
insert()
{
    run perl "$WORK/store.pl" "$TABLE/items" "$1"
}
list()
{
    cat "$TABLE/items"
}
