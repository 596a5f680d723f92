# metaflac: sets and removes tags of an audio file
needs='flac metaflac'
right='process'
size=100
setup()
{
    head -c 40000 /dev/zero >"$WORK/zero" &&
        flac --silent --force-raw-format --endian=little --channels=1 --bps=16 --sample-rate=8000 \
            --sign=signed -o "$TABLE/sound.flac" "$WORK/zero" &&
        old_names | sed 's/^/NAME=/' | metaflac --import-tags-from=- "$TABLE/sound.flac"
}
insert()
{
    run metaflac --set-tag="NAME=$1" "$TABLE/sound.flac"
}
list()
{
    flac --silent -t "$TABLE/sound.flac" && metaflac --show-tag=NAME "$TABLE/sound.flac" | cut -c6-
}
