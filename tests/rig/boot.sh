#!/usr/bin/env bash
# Boots one of the rig's instances up to the start of its server, with the scripts that lie on the image.
#
#     boot.sh FOLDER-OF-THE-SCRIPTS KIND
#
# A volume is a folder here, below HERMITCRAB_DEV by its id. So what `hermitcrab-volumes` does with a disk is left to its own
# tests, and only the stamp is the guest's; everything after that is done as it ships.
set -euo pipefail
readonly lib="$1" kind="$2"

# shellcheck source=images/guest/guest.sh
. "$lib/guest.sh"

# Every address of the loopback network is here at any time. An instance has those that its metadata show.
ip() {
    metadata "network/interfaces/macs/$(metadata mac)/local-ipv4s" | grep --line-regexp --fixed-strings "${6%/32}"
}
export -f ip

identify
id="$(tag hermitcrab:volume:data)"
await "data ($id) to be attached" test -d "$HERMITCRAB_DEV/$id"
mount="$(readlink -f "$HERMITCRAB_DEV/$id")"
export "${kind^^}_MOUNT=$mount"

# An empty folder is a blank disk.
if [[ -z "$(ls -A "$mount")" ]]; then
    stamp_write "$mount" data
fi
of="$(optional_tag hermitcrab-copy-of)"
if is_copy "$of" data "$(stamp_read "$mount")"; then
    take_copy data "$mount"
fi
"$lib/$kind-configure"
