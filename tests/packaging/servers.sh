#!/bin/bash
# The recipes of doc/ways-in.md that need a server: a CGI script and mod_php under Apache, a pool of
# php-fpm behind it. Servers of their own, on a port of 127.0.0.1 and with their files in a directory of
# their own. Called by make, which tells BUILD.
# shellcheck disable=SC2016,SC2030,SC2031,SC2317  # much is for PHP, and called by its name
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/../e2e/common.sh"
modules=/usr/lib/apache2/modules
fpm=$(find /usr/sbin -name 'php-fpm*' 2>/dev/null | sort | tail -1)
php=$(find $modules -name 'libphp*.so' 2>/dev/null | sort | tail -1)
if ! command -v apache2 >/dev/null || [ ! -e $modules/mod_cgi.so ]; then
    skip "Apache and php-fpm: apache2 is not here (make deps-servers)"
    finish
fi
fresh
port=$((20000 + $$ % 20000))
pids=
stop() {
    # shellcheck disable=SC2086  # several
    [ -z "$pids" ] || { kill $pids; wait $pids; } 2>/dev/null
    pids=
}
trap 'stop; clean_up' EXIT

# Apache's workers and php-fpm's may be other users than who started them: the directory is theirs too.
chmod 755 "$work"
user=$(id -un)
[ "$(id -u)" -ne 0 ] || user=www-data
mkdir -p data htdocs cgi-bin
[ "$(id -u)" -ne 0 ] || chown www-data data
table=$work/data/db

cat >cgi-bin/raise <<END
#!/usr/bin/env -S $BUILD/lockctl run --table $table -- sh
n=\$(cat $table/n); sleep 0.02; echo \$((n + 1)) >$table/n
printf 'Content-Type: text/plain\n\ndone\n'
END
chmod 755 cgi-bin/raise
# As doc/ways-in.md has it: one open file from reading to writing; and the way that is refused.
cat >htdocs/raise.php <<END
<?php
\$f = fopen('$table/n', 'c+');
\$n = (int) stream_get_contents(\$f);
usleep(20000);
rewind(\$f); fwrite(\$f, \$n + 1); fclose(\$f);
echo 'done';
END
cat >htdocs/replace.php <<END
<?php
\$n = (int) file_get_contents('$table/n');
usleep(20000);
echo @file_put_contents('$table/n', \$n + 1) === false ? 'refused' : 'done';
END

# apache LINES: the server in its own configuration, guarded by the environment it is started with.
apache() {
    cat >httpd.conf <<END
ServerRoot $work
ServerName localhost
Listen 127.0.0.1:$port
PidFile $work/apache.pid
ErrorLog $work/error.log
DefaultRuntimeDir $work
Mutex pthread
LoadModule mpm_prefork_module $modules/mod_mpm_prefork.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule alias_module $modules/mod_alias.so
LoadModule cgi_module $modules/mod_cgi.so
StartServers 10
MaxRequestWorkers 20
DocumentRoot $work/htdocs
ScriptAlias /cgi-bin/ $work/cgi-bin/
$([ "$(id -u)" -ne 0 ] || echo 'User www-data
Group www-data')
$1
END
    # In a group of its own: it ends all of its group.
    setsid apache2 -f "$work/httpd.conf" -DFOREGROUND >>said 2>&1 &
    pids="$pids $!"
    for _ in $(seq 200); do
        python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>/dev/null && return
        sleep 0.05
    done
    not_ok "Apache starts" "$(cat said error.log)"
}

# requests PATH: twenty at once; what they say, each different answer once.
requests() {
    python3 - "http://127.0.0.1:$port$1" <<'END'
import concurrent.futures, sys, urllib.request
def ask(_):
    try:
        return urllib.request.urlopen(sys.argv[1], timeout=60).read().decode().strip()
    except Exception as error:
        return str(error)
with concurrent.futures.ThreadPoolExecutor(20) as crowd:
    answers = list(crowd.map(ask, range(20)))
print(" ".join(f"{answers.count(each)} {each}" for each in sorted(set(answers))))
END
}

# start FILE: a count that workers may write. counts NAME PATH: twenty requests raise it by twenty.
begin() {
    rm -rf "$table"*
    mkdir "$table" && echo 0 >"$table/n" && chmod -R a+rwX data
}
counts() {
    begin
    same "$1: all are served" "20 done" "$(requests "$2")"
    same "$1: none is lost" 20 "$(cat "$table/n")"
}
# loses NAME PATH: the same without the library, or the test could not fail.
loses() {
    begin
    requests "$2" >/dev/null
    check "$1, unguarded, loses some" test "$(cat "$table/n")" -lt 20
}
# refuses NAME PATH: of those that read, close and replace, each is counted or refused.
refuses() {
    begin
    requests "$2" >answers
    same "$1: who replaces what another has changed is refused, nobody else's is lost" \
        "$(sed -nE 's/^([0-9]+) done.*/\1/p' answers)" "$(cat "$table/n")"
}

"$BUILD/lockctl" env --table "$table" --scope session >guard.env

# --- CGI: the script says so itself ---
apache ''
counts "a CGI script that names its guard in the first line" /cgi-bin/raise
stop

# --- mod_php: in the server's environment ---
if [ -n "$php" ]; then
    config="LoadModule php_module $php
<FilesMatch \\.php\$>
SetHandler application/x-httpd-php
</FilesMatch>"
    apache "$config"
    loses "mod_php" /raise.php
    stop
    set -a
    . ./guard.env
    set +a
    apache "$config"
    counts "mod_php under session" /raise.php
    refuses "mod_php under session" /replace.php
    stop
    unset LD_PRELOAD "${!LOCKSHIM_@}"
else
    skip "mod_php: it is not here (make deps-servers)"
fi

# --- php-fpm: in the service's environment, whatever its pool clears ---
if [ -n "$fpm" ] && [ -e $modules/mod_proxy_fcgi.so ]; then
    cat >fpm.conf <<END
[global]
error_log = $work/fpm.log
daemonize = no
[www]
$([ "$(id -u)" -ne 0 ] || echo 'user = www-data
group = www-data')
listen = $work/fpm.sock
listen.mode = 0666
pm = static
pm.max_children = 10
END
    config="LoadModule proxy_module $modules/mod_proxy.so
LoadModule proxy_fcgi_module $modules/mod_proxy_fcgi.so
<FilesMatch \\.php\$>
SetHandler proxy:unix:$work/fpm.sock|fcgi://localhost
</FilesMatch>"
    for how in unguarded guarded; do
        if [ $how = guarded ]; then
            (set -a; . ./guard.env; exec "$fpm" --nodaemonize --fpm-config "$work/fpm.conf") >>said 2>&1 &
        else
            "$fpm" --nodaemonize --fpm-config "$work/fpm.conf" >>said 2>&1 &
        fi
        pids="$pids $!"
        for _ in $(seq 200); do [ -S fpm.sock ] && break; sleep 0.05; done
        apache "$config"
        if [ $how = guarded ]; then
            counts "php-fpm under session, $user" /raise.php
            refuses "php-fpm under session" /replace.php
        else
            loses "php-fpm" /raise.php
        fi
        stop
        rm -f fpm.sock
    done
else
    skip "php-fpm: it is not here (make deps-servers)"
fi
finish
