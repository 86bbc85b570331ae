#!/usr/bin/env bash
# Brings what tests need and others wrote into a folder of its own, and says where it is. `fetch.sh [NAME]...`, where a
# NAME is one of these lines; without any, what the rig needs, the first three:
#
#     moto <folder for PYTHONPATH>
#     consul <program>
#     boot <folder for PATH:...> <folder for LD_LIBRARY_PATH:...>
#     packer <program>
#     guest <folder for PATH:...> <folder for LD_LIBRARY_PATH:...>
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

# One on PATH comes first. Else the one of this machine's own Debian.
fetch_packer() {
    local target="$dir/packer"
    if command -v packer >/dev/null; then
        echo "packer $(command -v packer)"
        return
    fi
    [[ -x $target/usr/bin/packer ]] || unpack "$target" packer
    echo "packer $target/usr/bin/packer"
}

# What the guest's scripts call in the rig, which has no disks.
fetch_boot() { fetch_programs boot curl:curl; }

# What they call on disks, and what looks at them.
fetch_guest() {
    fetch_programs guest \
        curl:curl losetup:mount mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs shellcheck:shellcheck systemd-analyze:systemd
}

# fetch_programs NAME PROGRAM:PACKAGE...: the folders have only what this machine lacks.
fetch_programs() {
    local name="$1" target="$dir/$1" missing=() pair triplet
    shift
    export PATH="$PATH:/usr/sbin:/sbin"
    for pair in "$@"; do
        command -v "${pair%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    if [[ ${#missing[@]} -gt 0 && "$(cat "$target/packages" 2>/dev/null)" != "${missing[*]}" ]]; then
        unpack "$target" "${missing[@]}"
        echo "${missing[*]}" >"$target/packages"
    fi
    triplet="$(uname -m)-linux-gnu"
    echo "$name $target/usr/sbin:$target/sbin:$target/usr/bin:$target/bin" \
        "$target/usr/lib/$triplet:$target/lib/$triplet:$target/lib/$triplet/systemd"
}

# Packages of this machine's own Debian, and what they depend on and this machine lacks, in a folder.
unpack() {
    local target="$1" work package
    shift
    say "unpacking Debian's $* into $target"
    command -v apt-get >/dev/null || fail "there is no apt-get to fetch Debian's $* with"
    work="$(mktemp -d "$dir/apt.XXXXXX")"
    # shellcheck disable=SC2064 # the value of now is the one that is meant
    trap "rm -rf '$work'" EXIT
    mkdir -p "$work"/{lists,archives}/partial "$work/unpacked"
    local apt=(apt-get -qq
        -o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=1
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o Acquire::Languages=none)
    "${apt[@]}" update >&2 || fail "apt cannot read its sources"
    "${apt[@]}" install --yes --no-install-recommends --download-only "$@" >&2 ||
        fail "apt's sources do not have all of: $*"
    for package in "$work"/archives/*.deb; do
        dpkg-deb -x "$package" "$work/unpacked"
    done
    rm -rf "$target"
    mv "$work/unpacked" "$target"
    rm -rf "$work"
}

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
[[ $# -gt 0 ]] || set -- moto consul boot
for name in "$@"; do
    case "$name" in
        moto | consul | boot | packer | guest) "fetch_$name" ;;
        *) fail "there is no '$name' to fetch: it is moto, consul, boot, packer or guest" ;;
    esac
done
