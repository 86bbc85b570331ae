#!/usr/bin/env bash
# Fails unless a program needs no loader and no library of the machine that it runs on.
set -euo pipefail

[ $# -eq 1 ] || {
    echo "usage: deploy/release/static.sh PROGRAM" >&2
    exit 64
}
headers="$(readelf --wide --program-headers --dynamic -- "$1")"
if grep -q -E '^ +INTERP |\(NEEDED\)' <<<"$headers"; then
    printf '%s is not static: it asks for\n%s\n' "$1" "$(grep -E 'interpreter:|\(NEEDED\)' <<<"$headers")" >&2
    exit 1
fi
