#!/usr/bin/env bash
# Makes a Debian machine one that runs a slot's member of PostgreSQL under Patroni: both programs, their user, the units, and the
# guest's own parts. Below DESTDIR, if that is set, files alone are put in their places.
#
# Wants POSTGRESQL_VERSION, PATRONI_VERSION, POSTGRES_UID, and the folder of the guest's parts in GUEST, whose agent.sh is told
# which SSM agent is installed too. Debian's own signed lists vouch for the packages.
set -euo pipefail
here="$(dirname "$(readlink -f "$0")")"
readonly here root="${DESTDIR-}"

# The id is the same on every image, because the files on the volume bear it.
user() {
    groupadd --system --gid "$POSTGRES_UID" postgres
    useradd --system --uid "$POSTGRES_UID" --gid postgres --home-dir /var/lib/postgresql --no-create-home \
        --shell /usr/sbin/nologin postgres
}

packages() {
    export DEBIAN_FRONTEND=noninteractive
    # Debian's own updates at boot may hold the lock.
    local apt=(apt-get -qq -o DPkg::Lock::Timeout=300) install=(install --yes --no-install-recommends)
    "${apt[@]}" update
    "${apt[@]}" "${install[@]}" ca-certificates curl e2fsprogs iproute2 xfsprogs postgresql-common
    # Patroni makes the one cluster that there is, on the volume.
    sed -i "s/^#\?create_main_cluster.*/create_main_cluster = false/" /etc/postgresql-common/createcluster.conf
    "${apt[@]}" "${install[@]}" "postgresql-15=$POSTGRESQL_VERSION-*" "patroni=$PATRONI_VERSION-*" python3-etcd
    apt-mark hold postgresql-15 patroni
    systemctl mask postgresql.service
    /usr/lib/postgresql/15/bin/postgres --version
}

files() {
    DESTDIR="$root" bash "$GUEST/install.sh"
    install -D --mode 0755 --target-directory "$root/usr/local/lib/hermitcrab" "$here/files/patroni-configure"
    install -D --mode 0644 --target-directory "$root/etc/systemd/system" "$here"/files/*.service
    install -D --mode 0644 "$here/files/volumes" "$root/etc/hermitcrab/volumes"
    install -D --mode 0644 --target-directory "$root/etc/patroni" "$here/files/image.yml"
    install -d "$root/var/lib/patroni"
}

if [[ -n $root ]]; then
    files
    exit
fi
user
packages
bash "$GUEST/agent.sh"
files
install -d --group postgres --mode 0750 /etc/patroni/secrets
update-initramfs -u
systemctl daemon-reload
systemctl enable patroni.service
