# A program of four threads that open, read, rewrite and close files all the time
right='process session'
times=5
setup()
{
    for ((n = 0; n < 4; n++)); do
        echo 100 >"$TABLE/count$n"
    done
}
operation()
{
    run "$BUILD/real/threads" "$TABLE" 4 "$times"
}
list()
{
    (cd "$TABLE" && grep . count*)
}
expected()
{
    local n
    for ((n = 0; n < 4; n++)); do
        echo "count$n:$((100 + $# * times))"
    done
}
