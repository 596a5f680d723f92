# git add and git commit in a script
needs='git'
size=30
prepare()
{
    script change <<'SH'
#!/bin/sh
cd "$1" && echo "$2" >"$2" && git add "$2" && git commit -q -m "$2"
SH
    export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example.org
    export GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example.org
}
setup()
{
    local name
    git init -q "$TABLE/repo" && cd "$TABLE/repo" || return
    for name in $(old_names); do
        git commit -q --allow-empty -m "$name" || return
    done
    git config gc.auto 0
}
insert()
{
    run "$WORK/change" "$TABLE/repo" "$1"
}
list()
{
    git -C "$TABLE/repo" fsck --no-progress && git -C "$TABLE/repo" log --format=%s
}
