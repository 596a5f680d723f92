# Perl's Config::IniFiles: rewrites the file beside and renames it into place
needs='perl'
slow=yes
right='process'
size=200
available()
{
    perl -MConfig::IniFiles -e 1
}
prepare()
{
    script store.pl <<'PERL'
use strict; use warnings; use Config::IniFiles;
my ($path, $act, $name) = @ARGV;
my $ini = Config::IniFiles->new(-file => $path) or die "@Config::IniFiles::errors";
if ($act eq 'insert') { $ini->newval('names', $name, 1) }
elsif ($act eq 'delete') { $ini->delval('names', $name) or die 'no such item' }
else { print "$_\n" for $ini->Parameters('names'); exit }
$ini->RewriteConfig or die "write: $!";
PERL
}
setup()
{
    { echo '[names]' && old_names | sed 's/$/=1/'; } >"$TABLE/settings.ini"
}
insert()
{
    run perl "$WORK/store.pl" "$TABLE/settings.ini" insert "$1"
}
delete()
{
    run perl "$WORK/store.pl" "$TABLE/settings.ini" delete "$1"
}
list()
{
    perl "$WORK/store.pl" "$TABLE/settings.ini" list
}
