# Sourced by the tests of the commands that read registries: as the tests of the shim's behaviour,
# and ways to look into JSON.
# shellcheck shell=bash disable=SC2034,SC2086
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/../e2e/common.sh"
export LC_ALL=C TZ=UTC COLUMNS=80
ordinary=65534

# json EXPRESSION COMMAND...: the expression of what it prints, as `data`.
json() {
    local expression=$1
    shift
    "$@" >json.out 2>json.err
    $python -c 'import json, sys; data = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' \
        json.out "$expression"
}
# fits NAME SCHEMA COMMAND...: what it prints fits the schema, which knows every key.
fits() {
    local name=$1 schema=$here/$2.schema.json
    shift 2
    "$@" >json.out 2>json.err
    check "$name" $python -c 'import json, jsonschema, sys
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
jsonschema.validate(json.load(open(sys.argv[2])), schema)' "$schema" json.out
}
# status NAME STATUS PATTERN COMMAND...: its exit status, and a line on stderr that has PATTERN in
# it ('' for none).
status() {
    local name=$1 expected=$2 pattern=$3 got
    shift 3
    "$@" >/dev/null 2>stderr.out
    got=$?
    if [ $got != "$expected" ]; then
        not_ok "$name" "status $got, not $expected: $(cat stderr.out)"
    elif [ -z "$pattern" ] && [ -s stderr.out ]; then
        not_ok "$name" "says: $(cat stderr.out)"
    elif [ -n "$pattern" ] && ! { [ "$(wc -l <stderr.out)" = 1 ] && grep -q "^lockctl: .*$pattern" stderr.out; }; then
        not_ok "$name" "says: $(cat stderr.out)"
    else
        ok "$name"
    fi
}
# as_ordinary COMMAND...: as a user without rights, who may look into our directory.
as_ordinary() {
    chmod a+rx . && setpriv --reuid $ordinary --regid $ordinary --clear-groups "$@"
}
# writes_told NAME COMMAND...: a closed pipe and a full disk are told in a line, with status 1.
writes_told() {
    local name=$1
    shift
    "$@" >/dev/full 2>stderr.out
    same "$name: full disk: status" 1 $?
    check "$name: full disk: is told" grep -q '^lockctl: .*could not be written: No space' stderr.out
    # shellcheck disable=SC2069
    { "$@" 2>stderr.out; echo $? >status.out; } | true
    until [ -s status.out ]; do sleep 0.02; done
    if [ "$(cat status.out)" = 0 ]; then
        skip "$name: closed pipe: all was written before"
    else
        same "$name: closed pipe: status" 1 "$(cat status.out)"
        check "$name: closed pipe: is told" grep -q '^lockctl: .*could not be written: Broken pipe' stderr.out
    fi
    rm -f status.out
}
