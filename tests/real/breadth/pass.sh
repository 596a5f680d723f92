# pass: edits a secret; a key agent that one command leaves behind serves the others
needs='pass gpg gpgconf'
slow=yes
size=20
setup()
{
    export GNUPGHOME=$TABLE/gnupg PASSWORD_STORE_DIR=$TABLE/store
    mkdir -m 700 "$GNUPGHOME" &&
        gpg --batch --quiet --passphrase '' --quick-generate-key tester default default never &&
        pass init tester && old_names | pass insert -m all
}
prepare()
{
    script editor <<'SH'
#!/bin/sh
echo "$NAME" >>"$1"
SH
}
insert()
{
    export GNUPGHOME=$TABLE/gnupg PASSWORD_STORE_DIR=$TABLE/store EDITOR=$WORK/editor NAME=$1
    run pass edit all
}
list()
{
    GNUPGHOME=$TABLE/gnupg PASSWORD_STORE_DIR=$TABLE/store pass show all
}
teardown()
{
    local home
    for home in "$TABLE" "$WORK/master"; do
        [ ! -d "$home/gnupg" ] || gpgconf --homedir "$home/gnupg" --kill all
    done
}
