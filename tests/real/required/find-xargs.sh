# find TABLE | xargs rm: each worker takes four files from a spool, and no file is taken twice
needs='find xargs tee'
size=400
prepare()
{
    script take <<'SH'
#!/bin/sh
find "$1/spool" -type f | sort | head -n 4 | tee -a "$1/taken" | xargs rm
SH
}
setup()
{
    mkdir "$TABLE/spool" && cd "$TABLE/spool" && old_names | xargs touch
}
operation()
{
    run "$WORK/take" "$TABLE"
}
list()
{
    sed 's,.*/,taken: ,' "$TABLE/taken" && find "$TABLE/spool" -type f -printf 'left: %f\n'
}
expected()
{
    old_names | head -n $(($# * 4)) | sed 's/^/taken: /'
    old_names | tail -n +$(($# * 4 + 1)) | sed 's/^/left: /'
}
