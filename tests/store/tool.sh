#!/bin/sh
# tool.sh: the command line: what it takes, what it refuses and how, its output forms, its lock.
# shellcheck source=tests/store/common.sh
. "$(dirname "$0")/common.sh"
cp -R "$tests/tables/." .
chmod -R u+w .
newline='
'

# Usage errors exit 2, before anything is touched.
for arguments in "" "frobnicate people" "select" "select people more" "--frob" "select --frob people" \
    "select people --limit 0" "select people --limit x" "select people --limit" "insert people --json" \
    "get people" "get people x" "delete people" "delete people 1 --where age=1" "delete people 1 x" \
    "update people name=x" "update people 1" "update people 3 name" "import people" "import people --csv --json" \
    "create new x" "create new x:long" "bench people --mix dance=1" "bench people --mix get=0" \
    "bench people --operations 0" "verify people --into x" "set-default people" "--json select people"; do
    # shellcheck disable=SC2086  # several words
    expect 2 "$tablestore" $arguments
done
# What cannot be done exits 1, with one line.
for arguments in "select nosuch" "select people --where age" "select people --where nosuch=1" \
    "select people --where age=x" "select people --where age~x" "select people --where name~(" \
    "select people --fields nosuch" "select people --order nosuch" "get people 9999" \
    "insert people age=x" "insert people age=99999999999" "insert people nosuch=1" "insert people __id__=1" \
    "insert people age=1 age=2" "create people x:int" "create new __id__:int" "create new a:int a:int" \
    "create no/such/place a:int" "update people 9999 age=1" "update people 1 age=1 --if-version 3" \
    "delete people 1 9999" "drop-field people nosuch" "drop-field people __id__" \
    "add-field people age:int" "add-field people x:int --after nosuch" "set-default people __id__=1" \
    "destroy nosuch" "verify nosuch" "verify nosuch --repair" "info nosuch" "insert owners house=77" \
    "--self-lock no/such/lock count people"; do
    # shellcheck disable=SC2086  # several words
    expect 1 "$tablestore" $arguments
done
expect 0 "$tablestore" verify people
is 200 "$("$tablestore" count people)" "nothing was changed by what failed"
is 0 "$("$tablestore" --help | awk 'length > 80' | wc -l)" "help lines longer than 80 columns"
expect 0 "$tablestore" --version
expect 0 "$tablestore" select --help

# Output forms, and back again.
for table in types defaults history; do
    for form in json csv; do
        mkdir -p "$form"
        fields=$("$tablestore" info "$table" --json |
            jq -r '.fields[2:][] | .name + ":" + .type + (if .default then "=" + .default else "" end)')
        # shellcheck disable=SC2086  # several fields
        expect 0 "$tablestore" create "$form/$table" $fields
        "$tablestore" select "$table" --$form --order __id__ >"$form/text"
        expect 0 sh -c "'$tablestore' import '$form/$table' --$form --quiet <'$form/text'"
        is "$("$tablestore" select "$table" --json --order __id__ | jq -c 'del(.__id__, .__version__)')" \
            "$("$tablestore" select "$form/$table" --json | jq -c 'del(.__id__, .__version__)')" \
            "$form of $table, there and back"
        expect 0 "$tablestore" verify "$form/$table"
    done
done
"$tablestore" create strange s:str u:unicode
"$tablestore" insert strange "s=$(printf 'a\001\033[31m\377')" "u=é$newline" >/dev/null
if "$tablestore" select strange | LC_ALL=C grep -q "$(printf '[\001\033\377]')"; then
    fail "raw control bytes in columns"
else
    pass
fi
is '{"s":{"bytes":"61011b5b33316dff"}}' "$("$tablestore" select strange --json --fields s)" "bytes in JSON"
expect 1 "$tablestore" insert strange "u=$(printf '\377')"
is 1 "$(printf 's,u\n"",x\n,y\n' | "$tablestore" import strange --csv >/dev/null &&
    "$tablestore" count strange --where 's is null')" "an empty cell is null, an empty text is not"
for bad in 's,u\na\n' 's,u\na,b,c\n' 's,nosuch\na,b\n' 's\n"a\n'; do
    expect 1 sh -c "printf '$bad' | '$tablestore' import strange --csv"
done
for bad in '{"s":1}' '{"s":"a"' '[1]' '{"nosuch":1}' '{"u":{"bytes":"zz"}}' '{"s":"a","s":"b"}'; do
    expect 1 sh -c "printf '%s' '$bad' | '$tablestore' import strange --json"
done
expect 0 "$tablestore" verify strange
expect 1 sh -c "'$tablestore' select people >/dev/full"

# Conditions, orders and limits.
is "3 2 1" "$("$tablestore" select people --where 'age >= 1 and age < 4' --order -age \
    --fields age --noheadings | xargs)" "order"
is 2 "$("$tablestore" select people --limit 2 --json | wc -l)" "limit"
is 11 "$("$tablestore" count people --where "name ~ '^row0[0-9]1\$' or name = row002")" "or"
is 199 "$("$tablestore" count people --where "not (name = 'row000')")" "not"
is 1 "$("$tablestore" update people 5 age=77 --if-version 0)" "update if version"
expect 1 "$tablestore" update people 5 age=78 --if-version 0
is 1 "$("$tablestore" update people 6 --null name)" "null"
is 1 "$("$tablestore" count people --where 'name is null')" "is null"
is 20 "$("$tablestore" delete people --where 'age >= 10 and age < 30')" "delete where"
is 180 "$("$tablestore" count people)" "count after delete"
expect 0 "$tablestore" verify people

# Verify names file and offset; repair makes a new table and says what was lost.
cp -R people broken
printf '#' | dd of=broken/age bs=1 seek=250 conv=notrunc 2>/dev/null
expect 1 "$tablestore" verify broken
grep -q '^broken/age: byte 250: row 50 is dead here, but live in __id__$' out || fail "finding: $(cat out)"
expect 0 "$tablestore" verify broken --repair
grep -q '^broken.repaired: 180 records; lost: 0 records, 0 values; new ids: 0$' out || fail "repair: $(cat out)"
expect 0 "$tablestore" verify broken.repaired
expect 1 "$tablestore" verify broken --repair
expect 0 "$tablestore" verify broken --repair --into elsewhere --json
tail -1 out | jq -e '.records == 180' >/dev/null || fail "repair --json"

# The yardstick's lock is held for as long as the command runs, and is a flock.
mkfifo pipe
"$tablestore" --self-lock lock import --csv strange <pipe >/dev/null &
exec 9>pipe
while [ ! -e lock ] || flock -n lock true; do sleep 0.01; done
pass
# shellcheck disable=SC2016  # for the inner shell
expect 124 sh -c 'timeout 0.3 "$0" --self-lock lock count people; s=$?; [ $s = 0 ] || echo timeout >&2; exit $s' \
    "$tablestore"
exec 9>&-
wait
expect 0 flock -n lock true
expect 0 "$tablestore" bench people --operations 200 --reopen --self-lock lock --json
jq -e '.operations == 200 and .get.count > 0' out >/dev/null || fail "bench --json"
expect 0 "$tablestore" verify people
expect 0 "$tablestore" destroy people
is "no" "$([ -e people ] && echo yes || echo no)" "destroyed"
finish
