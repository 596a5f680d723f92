# openssl ca: an index and a serial number, each written anew for each certificate
needs='openssl'
right='process'
size=300
prepare()
{
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=any \
        -keyout "$WORK/request.key" -out "$WORK/request.pem"
}
setup()
{
    local n=0 name
    mkdir "$TABLE/certs"
    cat >"$TABLE/ca.conf" <<CONF
[ca]
default_ca = here
[here]
dir = $TABLE
database = \$dir/index.txt
new_certs_dir = \$dir/certs
serial = \$dir/serial
certificate = \$dir/ca.pem
private_key = \$dir/ca.key
default_md = sha256
default_days = 365
policy = any
unique_subject = no
email_in_dn = no
[any]
commonName = supplied
CONF
    openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca \
        -days 3650 -keyout "$TABLE/ca.key" -out "$TABLE/ca.pem"
    old_names | while read -r name; do
        printf 'V\t350101000000Z\t\t%04X\tunknown\t/CN=%s\n' $((n += 1)) "$name"
    done >"$TABLE/index.txt"
    printf '%04X\n' $((size + 1)) >"$TABLE/serial"
}
insert()
{
    run openssl ca -batch -notext -config "$TABLE/ca.conf" -in "$WORK/request.pem" -subj "/CN=$1"
}
list()
{
    local serials
    openssl ca -config "$TABLE/ca.conf" -updatedb || return
    cut -f6 "$TABLE/index.txt" | sed 's,^/CN=,,'
    # Each certificate is on file under a serial number of its own, and the next number is free.
    for serials in "$TABLE"/certs/*.pem; do
        openssl x509 -noout -serial -in "$serials"
    done | sed 's/serial=/on file: /'
    echo "next: $(cat "$TABLE/serial")"
}
expected()
{
    local n
    old_names
    for n; do
        new_names "$n"
    done
    for ((n = size + 1; n <= size + $#; n++)); do
        printf 'on file: %04X\n' "$n"
    done
    printf 'next: %04X\n' "$n"
}
