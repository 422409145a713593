#!/bin/sh
# Makes the secrets of a deployment, once, as files: FOLDER/<who reads it>/<variable in lower case>.
# DATABASE_URL, when set, is the administrator's URL of a Postgres you have; POSTGRES=cnpg means the one of the component
# cnpg; else one named `postgres` is meant.
# What exists stays as it is. To change a password remove its two files, run this and `sonic db init` again.
set -eu

folder=${1:?usage: make-secrets.sh FOLDER}

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# keep FILE TEXT: writes the file unless it is there.
keep() {
    [ -s "$folder/$1" ] && return
    mkdir -p "$folder/${1%/*}"
    printf '%s' "$2" >"$folder/$1"
}

mkdir -p "$folder"
# The folder is closed to the machine's other people; inside, a container's own user must be able to read.
chmod 700 "$folder"
umask 022

if [ "${POSTGRES:-}" = cnpg ]; then
    keep cnpg/username postgres
    keep cnpg/password "$(random)"
    keep init/database_url "postgresql://postgres:$(cat "$folder/cnpg/password")@sonic-postgres-rw:5432/sonic"
elif [ -n "${DATABASE_URL:-}" ]; then
    keep init/database_url "$DATABASE_URL"
else
    keep postgres/postgres_password "$(random)"
    keep init/database_url "postgresql://sonic:$(cat "$folder/postgres/postgres_password")@postgres:5432/sonic"
fi
administrator=$(cat "$folder/init/database_url")

for service in price positions hedges alerts monitor xcom cyclone withdrawals; do
    keep "$service/${service}_database_url" "postgresql://$service:$(random)@${administrator##*@}"
    keep "init/${service}_database_url" "$(cat "$folder/$service/${service}_database_url")"
done
keep alerts/alerts_ledger_key "$(random)$(random)"
# Tokens of people, made by `sonic token create`; without one the proxy in front says who may.
mkdir -p "$folder/gateway"

# An authority of Sonic's own, and a certificate by which each server knows the others; run again, what ends within 30
# days is made anew, and the servers take it while they run. TLS=apart puts them into FOLDER/tls, as a cluster wants them;
# TLS=0 leaves them out, for cert-manager. TLS=tokens makes tokens in their place, in FOLDER/identity, for a mesh.
tokens() {
    names="price positions hedges alerts monitor xcom cyclone withdrawals gateway operator"
    callers=
    for name in $names; do
        keep "identity/$name/token" "$(random)"
        # Both are known while one takes the place of the other.
        for file in "$folder/identity/$name/token" "$folder/identity/$name/token.next"; do
            [ -s "$file" ] || continue
            callers="$callers$name $(tr -d ' \n' <"$file" | sha256sum | cut -c1-64)
"
        done
    done
    for name in $names; do
        printf '%s' "$callers" >"$folder/identity/$name/callers.new"
        mv "$folder/identity/$name/callers.new" "$folder/identity/$name/callers"
    done
}

case "${TLS:-1}" in
0) exit ;;
tokens) tokens; exit ;;
apart) folder="$folder/tls" ;;
1) ;;
*) echo "make-secrets.sh: TLS is 1, apart, tokens or 0, not $TLS" >&2; exit 2 ;;
esac
command -v openssl >/dev/null || { echo "make-secrets.sh: certificates need openssl; install it" >&2; exit 1; }

good() {
    [ -s "$1" ] && openssl x509 -in "$1" -noout -checkend 2592000 >/dev/null 2>&1
}

# key FILE: a new key, unless there is one.
key() {
    [ -s "$1" ] || openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

mkdir -p "$folder/authority"
chmod 700 "$folder/authority"
ca="$folder/authority/ca"
key "$ca.key"
if ! good "$ca.crt"; then
    openssl req -x509 -key "$ca.key" -days 3650 -subj "/CN=Sonic of this deployment" -out "$ca.crt"
    rm -f "$folder"/*/tls.crt
fi
for name in price positions hedges alerts monitor xcom cyclone withdrawals gateway operator; do
    own="$folder/$name"
    mkdir -p "$own"
    key "$own/tls.key"
    cmp -s "$ca.crt" "$own/ca.crt" || cp "$ca.crt" "$own/ca.crt"
    good "$own/tls.crt" && continue
    openssl req -new -key "$own/tls.key" -subj "/CN=$name" -out "$own/request"
    # One DNS name that is a single word: it is who this is to the others.
    printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n' "$name" >"$own/names"
    openssl x509 -req -in "$own/request" -CA "$ca.crt" -CAkey "$ca.key" -set_serial "0x$(random | cut -c1-32)" \
        -days 397 -extfile "$own/names" -out "$own/tls.new" 2>/dev/null
    mv "$own/tls.new" "$own/tls.crt"
    rm "$own/request" "$own/names"
done
