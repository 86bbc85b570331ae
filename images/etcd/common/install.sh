#!/usr/bin/env bash
# Makes a Debian machine one that runs a slot's etcd member: the program, its user, its units, and the guest's own parts.
# Below DESTDIR, if that is set, files alone are put in their places.
#
# Wants ETCD_VERSION, ETCD_SHA256_amd64, ETCD_SHA256_arm64, ETCD_UID, and the folder of the guest's parts in GUEST, whose
# agent.sh is told which SSM agent is installed too.
set -euo pipefail
here="$(dirname "$(readlink -f "$0")")"
readonly here root="${DESTDIR-}"

packages() {
    export DEBIAN_FRONTEND=noninteractive
    # Debian's own updates at boot may hold the lock.
    apt-get -qq -o DPkg::Lock::Timeout=300 update
    apt-get -qq -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends \
        ca-certificates curl e2fsprogs iproute2 xfsprogs
}

# The id is the same on every image, because the files on the volume bear it.
user() {
    groupadd --system --gid "$ETCD_UID" etcd
    useradd --system --uid "$ETCD_UID" --gid etcd --home-dir /var/lib/etcd --no-create-home \
        --shell /usr/sbin/nologin etcd
}

program() {
    local work arch checksum folder
    work="$(mktemp --directory)"
    arch="$(dpkg --print-architecture)"
    checksum="ETCD_SHA256_$arch"
    folder="etcd-v$ETCD_VERSION-linux-$arch"
    curl --silent --show-error --fail --location --retry 5 --output "$work/$folder.tar.gz" \
        "https://github.com/etcd-io/etcd/releases/download/v$ETCD_VERSION/$folder.tar.gz"
    echo "${!checksum:?there is no checksum for $arch}  $work/$folder.tar.gz" | sha256sum --check --strict
    tar --extract --file "$work/$folder.tar.gz" --directory "$work" "$folder/etcd" "$folder/etcdctl"
    install --mode 0755 --target-directory /usr/local/bin "$work/$folder/etcd" "$work/$folder/etcdctl"
    rm -r "$work"
    etcd --version
}

files() {
    DESTDIR="$root" bash "$GUEST/install.sh"
    install -D --mode 0755 --target-directory "$root/usr/local/lib/hermitcrab" "$here/files/etcd-configure"
    install -D --mode 0644 --target-directory "$root/etc/systemd/system" "$here"/files/*.service
    install -D --mode 0644 "$here/files/volumes" "$root/etc/hermitcrab/volumes"
    install -D --mode 0644 --target-directory "$root/etc/etcd" "$here/files/image.env"
    install -d "$root/var/lib/etcd"
}

if [[ -n $root ]]; then
    files
    exit
fi
packages
user
program
bash "$GUEST/agent.sh"
files
install -d --group etcd --mode 0750 /etc/etcd/secrets
update-initramfs -u
systemctl daemon-reload
systemctl enable etcd.service
