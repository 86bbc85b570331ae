#!/usr/bin/env bash
# Checks a folder that seal.sh has sealed: that one of the signers has signed its checksums, that every file has its own, and that no
# other file is there:
#
#     deploy/release/verify.sh FOLDER ALLOWED_SIGNERS
#
# ALLOWED_SIGNERS has a line `release@hermitcrab KEY` for each public key that may sign (ssh-keygen(1), ALLOWED SIGNERS).
set -euo pipefail

[ $# -eq 2 ] || {
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 64
}
signers="$(realpath -- "$2")"
cd -- "$1"
ssh-keygen -Y verify -f "$signers" -I release@hermitcrab -n hermitcrab-release -s SHA256SUMS.sig <SHA256SUMS
sha256sum --check --strict --quiet SHA256SUMS
listed="$(wc --lines <SHA256SUMS)"
found="$(find . ! -type d ! -path ./SHA256SUMS ! -path ./SHA256SUMS.sig -printf '.' | wc --bytes)"
[ "$listed" -eq "$found" ] || {
    echo "SHA256SUMS has $listed files, and there are $found" >&2
    exit 1
}
