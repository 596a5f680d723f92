#!/bin/sh
# samples.sh: tables that the original wrote are read as it reads them; what tablestore makes of them by
# every operation is found sound, and read alike by a second implementation of the format (buzhug.py).
# shellcheck source=tests/store/common.sh
. "$(dirname "$0")/common.sh"

# Verify finds nothing, and scanning, getting by id and tablestore's own reading agree.
agree() {
    if "$tablestore" verify "$1" && "$tablestore" select "$1" --json |
        python3 "$tests/buzhug.py" compare "$1" ${2:+"$2"} 2>compare.err; then
        pass
    else
        fail "$1 after $3: $(tail -1 compare.err)"
    fi
}

# An assignment that fits the table: in place, and by moving.
in_place_of() {
    case $1 in
    cleaned | history) echo x=-2.5 ;;
    defaults) echo n=5 ;;
    fields) echo a=-1 ;;
    owners) echo house=0 ;;
    people) echo age=1 ;;
    types) echo b=true ;;
    esac
}
moving_of() {
    case $1 in
    cleaned | defaults | history | owners | people) printf 'name=A\\\\b\nc\n' ;;
    empty) echo k=new ;;
    fields) echo added=longer ;;
    houses) echo address= ;;
    types) echo u=é ;;
    esac
}

tables="cleaned defaults empty fields history houses owners people types"
for table in $tables; do
    rm -rf ./*
    cp -R "$tests/tables/." .
    chmod -R u+w .
    agree "$table" "$tests/tables/expected.json" "nothing"
    before=$(find "$table" -type f -exec md5sum {} + | sort)
    for command in info count "select --order __id__" verify; do
        # shellcheck disable=SC2086  # a command and its options
        set -- $command
        expect 0 "$tablestore" "$@" "$table"
    done
    is "$before" "$(find "$table" -type f -exec md5sum {} + | sort)" "$table: reading changes nothing"
    expect 0 "$tablestore" insert "$table"
    agree "$table" "" "insert"
    in_place=$(in_place_of "$table")
    if [ -n "$in_place" ]; then
        expect 0 "$tablestore" update "$table" 1 "$in_place"
        agree "$table" "" "an update in place"
    fi
    expect 0 "$tablestore" update "$table" --where '__id__ < 5' "$(moving_of "$table")"
    agree "$table" "" "an update by moving"
    expect 0 "$tablestore" delete "$table" --where '__id__ = 0 or __id__ = 3'
    agree "$table" "" "delete"
    expect 0 "$tablestore" insert "$table"
    agree "$table" "" "insert into a dead slot"
    expect 0 "$tablestore" add-field "$table" 'new:float=-1.5'
    agree "$table" "" "add-field"
    expect 0 "$tablestore" add-field "$table" 'remark:unicode' --after new
    agree "$table" "" "add-field --after"
    expect 0 "$tablestore" insert "$table" remark=n
    expect 0 "$tablestore" set-default "$table" remark=nn
    agree "$table" "" "set-default"
    expect 0 "$tablestore" drop-field "$table" new
    agree "$table" "" "drop-field"
    expect 0 "$tablestore" cleanup "$table"
    agree "$table" "" "cleanup"
    expect 0 "$tablestore" insert "$table"
    agree "$table" "" "insert after cleanup"
    # The other implementation and this one take turns on one table.
    for seed in 1 2; do
        python3 "$tests/buzhug.py" work "$table" $seed 25
        agree "$table" "" "work of the other implementation"
        expect 0 "$tablestore" bench "$table" --operations 50 --seed $seed
        agree "$table" "" "work of both"
    done
    expect 0 "$tablestore" verify "$table" --repair
    agree "$table.repaired" "" "repair"
    is "$("$tablestore" select "$table" --json --order __id__)" \
        "$("$tablestore" select "$table.repaired" --json --order __id__)" "repair of a sound table"
done

# The operations that made one sample of another leave the same bytes as the original did.
rm -rf ./*
cp -R "$tests/tables/history" h
chmod -R u+w h
"$tablestore" cleanup h
"$tablestore" insert h name=after n=1 x=0.0 >/dev/null
for file in name __id__ __pos__ _id_pos __version__ __del_rows__ __info__; do
    expect 0 cmp "$tests/tables/cleaned/$file" "h/$file"
done
finish
