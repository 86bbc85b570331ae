#!/usr/bin/env bash
# Brings the two servers that the rig needs into a folder of its own, and says where they are:
#
#     moto <folder for PYTHONPATH>
#     consul <program>
#
# Nothing is installed system-wide, a second run finds what the first one brought, and two at once wait for each other.
# The folder is HERMITCRAB_RIG_DIR, or hermitcrab-rig below the user's cache.
set -euo pipefail

readonly moto_version=5.2.5 consul_suite=bullseye
readonly dir="${HERMITCRAB_RIG_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/hermitcrab-rig}"

say() { echo "rig: $*" >&2; }
fail() { say "$@"; exit 1; }

# pip's own way of installing beside the system needs no `ensurepip`, which Debian packages apart.
fetch_moto() {
    local target="$dir/moto-$moto_version" python=(python3)
    if [[ ! -e $target/complete ]]; then
        say "installing moto $moto_version into $target"
        command -v python3 >/dev/null || fail "moto needs python3, which is not on PATH"
        if ! python3 -m pip --version >/dev/null 2>&1; then
            python3 -m venv "$dir/venv" >&2 || fail "moto needs pip: neither python3 -m pip nor python3 -m venv works"
            python=("$dir/venv/bin/python")
        fi
        rm -rf "$target"
        # Its warnings are about the packages of the system, which are left as they are.
        "${python[@]}" -m pip install --disable-pip-version-check --no-input --target "$target" \
            "moto==$moto_version" flask flask-cors py-partiql-parser >"$dir/pip.log" 2>&1 ||
            fail "moto could not be installed by pip: $(tail -n 1 "$dir/pip.log")"
        touch "$target/complete"
    fi
    echo "moto $target"
}

# One on PATH comes first. Else Debian's last package, from wherever this machine has its own packages from.
fetch_consul() {
    local target="$dir/consul-$consul_suite"
    if command -v consul >/dev/null; then
        echo "consul $(command -v consul)"
        return
    fi
    if [[ ! -x $target/usr/bin/consul ]]; then
        say "unpacking Debian's consul into $target"
        command -v apt-get >/dev/null || fail "there is no consul on PATH, and no apt-get to fetch Debian's with"
        local work
        work="$(mktemp -d "$dir/apt.XXXXXX")"
        # shellcheck disable=SC2064 # the value of now is the one that is meant
        trap "rm -rf '$work'" EXIT
        download_consul "$work" >&2
        rm -rf "$target"
        dpkg-deb -x "$work"/consul_*.deb "$work/unpacked"
        mv "$work/unpacked" "$target"
    fi
    echo "consul $target/usr/bin/consul"
}

# `indextargets` reads every form of apt's sources for us.
download_consul() {
    local work="$1" keyring=/usr/share/keyrings/debian-archive-keyring.gpg codename uri sources
    codename="$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)"
    # shellcheck disable=SC2016 # apt-get fills these in
    uri="$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' "Release: $codename" 'Component: main' | head -n 1)"
    [[ -n $uri ]] || fail "apt has no source of '$codename main' to derive one of '$consul_suite main' from"
    sources="deb [signed-by=$keyring] $uri $consul_suite main"
    mkdir -p "$work"/{lists,cache,state}/partial
    echo "$sources" >"$work/sources.list"
    touch "$work/status"
    local apt=(apt-get -qq
        -o "APT::Sandbox::User=$(id -un)"
        -o "Dir::Etc::SourceList=$work/sources.list" -o "Dir::Etc::SourceParts=-"
        -o "Dir::State=$work/state" -o "Dir::State::Lists=$work/lists" -o "Dir::State::Status=$work/status"
        -o "Dir::Cache=$work/cache" -o Acquire::Languages=none)
    "${apt[@]}" update || fail "apt cannot read '$sources'"
    (cd "$work" && "${apt[@]}" download consul) || fail "'$sources' has no consul"
}

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
fetch_moto
fetch_consul
