#!/usr/bin/env bash
# Makes a Debian machine one that runs a slot's ZooKeeper server: the program, its user, its units, and the guest's own parts.
# Below DESTDIR, if that is set, files alone are put in their places.
#
# Wants ZOOKEEPER_VERSION, ZOOKEEPER_UID, and the folder of the guest's parts in GUEST, whose agent.sh is told which SSM agent is
# installed too. Debian's own signed lists vouch for the packages.
set -euo pipefail
here="$(dirname "$(readlink -f "$0")")"
readonly here root="${DESTDIR-}"

# The id is the same on every image, because the files on the volume bear it.
user() {
    groupadd --system --gid "$ZOOKEEPER_UID" zookeeper
    useradd --system --uid "$ZOOKEEPER_UID" --gid zookeeper --home-dir /var/lib/zookeeper --no-create-home \
        --shell /usr/sbin/nologin zookeeper
}

# The library has the server. The package with its tools brings a desktop's libraries along.
packages() {
    export DEBIAN_FRONTEND=noninteractive
    # Debian's own updates at boot may hold the lock.
    local apt=(apt-get -qq -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update
    "${apt[@]}" install --yes --no-install-recommends ca-certificates curl e2fsprogs iproute2 xfsprogs \
        default-jre-headless libslf4j-java "libzookeeper-java=$ZOOKEEPER_VERSION-*"
    apt-mark hold libzookeeper-java
    java -cp /usr/share/java/zookeeper.jar org.apache.zookeeper.version.VersionInfoMain
}

files() {
    DESTDIR="$root" bash "$GUEST/install.sh"
    install -D --mode 0755 --target-directory "$root/usr/local/lib/hermitcrab" \
        "$here/files/zookeeper-configure" "$here/files/zookeeper-serve"
    install -D --mode 0644 --target-directory "$root/etc/systemd/system" "$here"/files/*.service
    install -D --mode 0644 "$here/files/volumes" "$root/etc/hermitcrab/volumes"
    install -D --mode 0644 --target-directory "$root/etc/zookeeper" "$here/files/image.cfg" "$here/files/image.env"
    install -d "$root/var/lib/zookeeper"
}

if [[ -n $root ]]; then
    files
    exit
fi
user
packages
bash "$GUEST/agent.sh"
files
update-initramfs -u
systemctl daemon-reload
systemctl enable zookeeper.service
