#!/usr/bin/env bash
# Builds the container from two images that are named by digest, with a bill of materials beside it:
#
#     deploy/container/build.sh RUST_IMAGE BASE_IMAGE [ARGUMENTS OF docker build]
#
# CONTAINER_ENGINE is another program than docker, e.g. podman.
set -euo pipefail
cd "$(dirname "$0")/../.."

by_digest() {
    [[ $1 =~ ^[^[:space:]@]+@sha256:[0-9a-f]{64}$ ]] || {
        printf '%s: name the image by its digest, as in rust:1.95-slim-bookworm@sha256:…: a tag may be moved\n' "$1" >&2
        exit 64
    }
}

[ $# -ge 2 ] || {
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 64
}
by_digest "$1"
by_digest "$2"

"${CONTAINER_ENGINE:-docker}" build --file deploy/container/Containerfile \
    --build-arg "RUST_IMAGE=$1" --build-arg "BASE_IMAGE=$2" "${@:3}" .
mkdir -p target
deploy/sbom.py >target/hermitcrab.cdx.json
