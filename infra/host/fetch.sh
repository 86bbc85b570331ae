#!/usr/bin/env bash
# Brings the program and the desired state from the bucket. Starts the service with the first program, and starts it anew with each
# other one; desired state is watched by the service itself.
set -euo pipefail
umask 022

program=/usr/bin/hermitcrab
desired=/etc/hermitcrab/desired-state
fetched=/var/cache/hermitcrab

# fetch FOLDER TO: like the bucket's folder. By exact times, because another image id makes a file no longer.
fetch() {
    mkdir -p "$2"
    aws s3 sync --only-show-errors --delete --exact-timestamps "s3://$BUCKET/$1/" "$2"
}

fetch desired-state "$desired"
fetch program "$fetched"
if [[ ! -e $fetched/hermitcrab ]]; then
    echo "there is no s3://$BUCKET/program/hermitcrab yet"
elif ! cmp --silent "$fetched/hermitcrab" "$program"; then
    install --mode 0755 "$fetched/hermitcrab" "$program.new"
    # One for another processor, or half an upload, never takes the place of one that runs.
    "$program.new" --version
    mv "$program.new" "$program"
    systemctl enable hermitcrab.service
    systemctl restart hermitcrab.service
fi
