#!/usr/bin/env bash
# Makes an image of the rig's own, for an application of which none ships: the guest's parts, and what configures the server of
# KIND. Below DESTDIR, with the folder of the guest's parts in GUEST.
set -euo pipefail
here="$(dirname "$(readlink -f "$0")")"
readonly here

bash "$GUEST/install.sh"
install -D --mode 0755 --target-directory "$DESTDIR/usr/local/lib/hermitcrab" "$here/$KIND/$KIND-configure"
install -D --mode 0644 --target-directory "$DESTDIR/etc/systemd/system" "$here/$KIND/$KIND.service"
