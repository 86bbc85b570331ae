#!/usr/bin/env bash
# Writes the checksum of every file of a folder into its SHA256SUMS, and signs that with an SSH key, into SHA256SUMS.sig:
#
#     deploy/release/seal.sh FOLDER KEY
#
# KEY is a private key's file, or a public key's whose private one an agent holds. verify.sh checks both.
set -euo pipefail

[ $# -eq 2 ] || {
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 64
}
key="$(realpath -- "$2")"
cd -- "$1"
rm -f SHA256SUMS SHA256SUMS.sig
sums="$(find . -type f -print0 | LC_ALL=C sort --zero-terminated | xargs --null --no-run-if-empty sha256sum --)"
[ -n "$sums" ] || {
    echo "there is nothing to seal in $1" >&2
    exit 1
}
printf '%s\n' "$sums" >SHA256SUMS
ssh-keygen -Y sign -f "$key" -n hermitcrab-release SHA256SUMS
