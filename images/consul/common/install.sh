#!/usr/bin/env bash
# Makes a Debian machine one that runs a slot's Consul server: the program, its user, its units, and the guest's own parts.
# Below DESTDIR, if that is set, files alone are put in their places.
#
# Wants CONSUL_VERSION, CONSUL_SHA256_amd64, CONSUL_SHA256_arm64, CONSUL_UID, and the folder of the guest's parts in GUEST, whose
# agent.sh is told which SSM agent is installed too.
set -euo pipefail
here="$(dirname "$(readlink -f "$0")")"
readonly here root="${DESTDIR-}"

packages() {
    export DEBIAN_FRONTEND=noninteractive
    # Debian's own updates at boot may hold the lock.
    apt-get -qq -o DPkg::Lock::Timeout=300 update
    apt-get -qq -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends \
        awscli ca-certificates curl e2fsprogs iproute2 systemd-resolved unzip xfsprogs
}

# The id is the same on every image, because the files on the volume bear it.
user() {
    groupadd --system --gid "$CONSUL_UID" consul
    useradd --system --uid "$CONSUL_UID" --gid consul --home-dir /var/lib/consul --no-create-home \
        --shell /usr/sbin/nologin consul
}

program() {
    local work arch checksum file
    work="$(mktemp --directory)"
    arch="$(dpkg --print-architecture)"
    checksum="CONSUL_SHA256_$arch"
    file="consul_${CONSUL_VERSION}_linux_$arch.zip"
    curl --silent --show-error --fail --location --retry 5 --output "$work/$file" \
        "https://releases.hashicorp.com/consul/$CONSUL_VERSION/$file"
    echo "${!checksum:?there is no checksum for $arch}  $work/$file" | sha256sum --check --strict
    unzip -q "$work/$file" consul -d "$work"
    install --mode 0755 "$work/consul" /usr/local/bin/consul
    rm -r "$work"
    consul version
}

files() {
    DESTDIR="$root" bash "$GUEST/install.sh"
    install -D --mode 0755 --target-directory "$root/usr/local/lib/hermitcrab" "$here"/files/{consul-configure,consul-secrets,isolate}
    install -D --mode 0644 --target-directory "$root/etc/systemd/system" "$here"/files/*.service
    install -D --mode 0644 "$here/files/volumes" "$root/etc/hermitcrab/volumes"
    install -D --mode 0644 "$here/files/consul.json" "$root/etc/consul.d/00-image.json"
    install -D --mode 0644 "$here/files/resolved.conf" "$root/etc/systemd/resolved.conf.d/consul.conf"
    install -d "$root/var/lib/consul"
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
install -d --group consul --mode 0750 /etc/consul.d/secrets
update-initramfs -u
systemctl daemon-reload
systemctl enable consul.service
