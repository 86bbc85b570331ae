#!/usr/bin/env bash
# Puts the guest's scripts and units in their places, and enables the units. Below DESTDIR, if that is set, files alone are put in
# their places.
set -euo pipefail
here="$(dirname "$(readlink -f "$0")")"
readonly here lib="${DESTDIR-}/usr/local/lib/hermitcrab" units="${DESTDIR-}/etc/systemd/system"

install -D --mode 0755 --target-directory "$lib" "$here/hermitcrab-volumes" "$here/hermitcrab-address"
install -D --mode 0644 --target-directory "$lib" "$here/guest.sh"
install -D --mode 0644 --target-directory "$units" "$here/hermitcrab-volumes.service" "$here/hermitcrab-address.service" \
    "$here/hermitcrab-volumes-grow.service" "$here/hermitcrab-volumes-grow.timer"
install -D --mode 0644 --target-directory "${DESTDIR-}/etc/hermitcrab" "$here/guest.conf"
# The longest that the kernel waits for a volume's answer, as EC2 advises: a short pause of EBS is not to make the file system
# read-only.
install -d "${DESTDIR-}/etc/modprobe.d"
echo 'options nvme_core io_timeout=4294967295' >"${DESTDIR-}/etc/modprobe.d/hermitcrab.conf"
[[ -n ${DESTDIR-} ]] || systemctl enable hermitcrab-volumes.service hermitcrab-volumes-grow.timer hermitcrab-address.service
