#!/usr/bin/env bash
# Leaves nothing of the builder in the image: who it was, who could log in, and what it was told. Packer itself removes its key
# (ssh_clear_authorized_keys). Below DESTDIR, if that is set, files alone are removed.
set -euo pipefail
readonly root="${DESTDIR-}"

if [[ -z $root ]]; then
    # Forgets the instance, so that cloud-init runs anew on each of the image's own.
    cloud-init clean --logs --machine-id --seed
    apt-get -qq clean
    # The agent's name and keys are those of the builder.
    systemctl stop amazon-ssm-agent.service 2>/dev/null || true
fi
# Empty, not missing: systemd makes one for each instance at its first boot.
: >"$root/etc/machine-id"
rm -f "$root"/var/lib/dbus/machine-id "$root"/etc/ssh/ssh_host_*
rm -rf "$root"/var/lib/amazon/ssm/Vault "$root"/var/lib/amazon/ssm/i-* "$root"/var/lib/apt/lists/* \
    "$root"/var/lib/systemd/random-seed "$root"/root/.ssh "$root"/home/*/.bash_history "$root"/root/.bash_history
find "$root/var/log" -type f -exec truncate --size 0 {} +
