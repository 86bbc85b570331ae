#!/usr/bin/env bash
# Builds the Debian package, with manual pages, completions and a bill of materials, and says where it lies. Wants cargo-deb:
# `cargo install cargo-deb --locked`. Arguments go to cargo's build; `--no-default-features` leaves AWS out.
set -euo pipefail
cd "$(dirname "$0")/../.."

target="${CARGO_TARGET_DIR:-target}"
hermitcrab="$target/release/hermitcrab"
extras="$target/release/package"

cargo build --release --locked --bin hermitcrab "$@"

rm -rf "$extras"
mkdir -p "$extras/man"
"$hermitcrab" man >"$extras/man/hermitcrab.1"
# Asked for a command that it does not have, it lists those that it has.
for command in $("$hermitcrab" man not-a-command 2>&1 | sed -n 's/.*the commands are //p' | tr -d ,); do
    "$hermitcrab" man "$command" >"$extras/man/hermitcrab-$command.1"
done
"$hermitcrab" completions bash >"$extras/hermitcrab.bash"
"$hermitcrab" completions zsh >"$extras/_hermitcrab"
"$hermitcrab" completions fish >"$extras/hermitcrab.fish"

# What is built in, for whoever has to know: of the same features as the program.
features=()
for argument in "$@"; do
    case $argument in --no-default-features | --all-features | --features=*) features+=("$argument") ;; esac
done
deploy/sbom.py "${features[@]}" >"$extras/hermitcrab.cdx.json"

cargo deb --no-build --locked
