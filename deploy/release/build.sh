#!/usr/bin/env bash
# Builds the program as one static file for a target of musl, and puts it, with adapters, manual pages, completions and a bill of
# materials, into an archive in a folder:
#
#     deploy/release/build.sh x86_64-unknown-linux-musl FOLDER
#
# Run it on a machine of that architecture. `ring` compiles C and assembler, so it wants a C compiler for musl (Debian's musl-tools), beside
# rustup and, to look at the outcome, binutils.
set -euo pipefail

if [ $# -ne 2 ] || [[ ! $1 =~ ^(x86_64|aarch64)-unknown-linux-musl$ ]]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 64
fi
target="$1"
mkdir -p -- "$2"
folder="$(cd -- "$2" && pwd)"
cd "$(dirname "$0")/../.."
version="$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)"
name="hermitcrab-$version-${target%%-*}"

rustup target add "$target"
export "CC_${target//-/_}=musl-gcc"
cargo build --release --locked --bin hermitcrab --target "$target"
hermitcrab="${CARGO_TARGET_DIR:-target}/$target/release/hermitcrab"
deploy/release/static.sh "$hermitcrab"
[ "$("$hermitcrab" --version)" = "hermitcrab $version" ]

work="$(mktemp --directory)"
trap 'rm -r "$work"' EXIT
tree="$work/$name"
mkdir -p "$tree/man" "$tree/completions"
install --mode 0755 "$hermitcrab" "$tree/"
cp -R LICENSE README.md adapters schema "$tree/"
"$hermitcrab" man >"$tree/man/hermitcrab.1"
for shell in bash zsh fish; do
    "$hermitcrab" completions "$shell" >"$tree/completions/hermitcrab.$shell"
done
deploy/sbom.py >"$tree/hermitcrab.cdx.json"
# The same tree makes the same archive, whenever and by whomever it is packed.
when="$(git log -1 --format=%ct)"
tar --directory "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$when" --create "$name" |
    gzip --no-name --best >"$folder/$name.tar.gz"
cp "$tree/hermitcrab.cdx.json" "$folder/$name.cdx.json"
