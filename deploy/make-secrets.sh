#!/bin/sh
# Makes the secrets of a deployment, once, as files: FOLDER/<who reads it>/<variable in lower case>.
# DATABASE_URL, when set, is the administrator's URL of a Postgres you have; else one named `postgres` is meant.
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

if [ -n "${DATABASE_URL:-}" ]; then
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
