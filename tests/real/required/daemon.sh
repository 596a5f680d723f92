# A command that leaves a daemon behind, which goes on and later changes the table as a stranger
needs='perl setsid'
limit=40 # were the lock kept for as long as the daemons live, it would take 50 s
prepare()
{
    script daemon.pl <<'PERL'
use strict; use warnings; use Fcntl; use SDBM_File;
my ($path, $name) = @ARGV;
select undef, undef, undef, 0.3;
tie(my %db, 'SDBM_File', $path, O_RDWR | O_CREAT, 0666) or die "tie: $!";
$db{$name} = 1;
untie %db;
select undef, undef, undef, 0.7;
PERL
    script start <<'SH'
#!/bin/sh
n=$(cat "$1/count")
setsid perl "$2/daemon.pl" "$1/db" "$3" &
echo $((n + 1)) >"$1/count"
SH
}
setup()
{
    echo 0 >"$TABLE/count"
    old_names | perl -MFcntl -MSDBM_File -ne 'BEGIN {
        tie(%db, "SDBM_File", shift, O_RDWR | O_CREAT, 0666) or die "tie: $!";
    } chomp; $db{$_} = 1' "$TABLE/db"
}
insert()
{
    run "$WORK/start" "$TABLE" "$WORK" "$1"
}
settle()
{
    local i
    for ((i = 0; i < 300; i++)); do
        [ -n "$(ours)" ] || break
        sleep 0.1
    done
}
list()
{
    echo "count $(cat "$TABLE/count")"
    perl -MFcntl -MSDBM_File -e 'tie(%db, "SDBM_File", shift, O_RDWR, 0666) or die "tie: $!";
        print "$_\n" for keys %db' "$TABLE/db"
}
expected()
{
    local worker
    echo "count $#"
    old_names
    for worker; do
        new_names "$worker"
    done
}
