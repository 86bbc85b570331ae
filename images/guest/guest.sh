# shellcheck shell=bash
# Shared by the guest's scripts: settings, messages, waiting and refusing, the instance's metadata, and stamps.

# Plain `NAME=value` lines; guest.conf says which.
if [[ -e ${HERMITCRAB_CONF:=/etc/hermitcrab/guest.conf} ]]; then
    # shellcheck source=/dev/null
    . "$HERMITCRAB_CONF"
fi
: "${HERMITCRAB_METADATA:=http://169.254.169.254}"
# The program that cuts a copied volume off from its cluster. The application brings it, beside this file.
: "${HERMITCRAB_ISOLATE:=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/isolate}"
: "${HERMITCRAB_WAIT:=0}" "${HERMITCRAB_SAY_EVERY:=60}" "${HERMITCRAB_POLL:=2}"

say() { echo "hermitcrab: $*" >&2; }

# Ends with one line, before anything was changed.
refuse() {
    say "REFUSED: $*"
    exit 1
}

# Ends in the middle of a change.
fail() {
    say "FAILED: $*"
    exit 1
}

# await WHAT FUNCTION [ARGUMENT]...: calls the function until it succeeds. A volume may be attached hours after the boot, so
# there is no limit unless one is set. A wait is reported at once, and then again at intervals.
await() {
    local what="$1" began="$SECONDS" waited says_at=0
    shift
    until "$@"; do
        waited=$((SECONDS - began))
        if ((HERMITCRAB_WAIT > 0 && waited >= HERMITCRAB_WAIT)); then
            refuse "waited $waited s in vain for $what"
        fi
        if ((waited >= says_at)); then
            say "waiting for $what, $waited s so far"
            says_at=$((waited + HERMITCRAB_SAY_EVERY))
        fi
        sleep "$HERMITCRAB_POLL"
    done
}

# metadata PATH: one value. Returns 1 if there is no such value, and 2 if the service gave no answer. IMDSv2 only.
metadata() {
    local token answer root="$HERMITCRAB_METADATA/latest" ask=(curl --silent --noproxy '*' --max-time 5)
    token="$("${ask[@]}" --fail -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$root/api/token")" || return 2
    answer="$("${ask[@]}" --write-out '\n%{http_code}' -H "X-aws-ec2-metadata-token: $token" "$root/meta-data/$1")" || return 2
    case "${answer##*$'\n'}" in
        200) echo "${answer%$'\n'*}" ;;
        404) return 1 ;;
        *) return 2 ;;
    esac
}

# Into `value`: a metadata value that must exist, now or later.
is_told() {
    value="$(metadata "$1")" && [[ -n $value ]]
}

# Into `value`: a metadata value that need not exist.
is_answered() {
    local code=0
    value="$(metadata "$1")" || code=$?
    ((code < 2))
}

# A tag of the instance. Tags of an instance that a group launched come some time after its boot.
tag() {
    await "the instance tag $1 (metadata must show tags)" is_told "tags/instance/$1"
    echo "$value"
}

# A tag that need not exist; empty if it does not.
optional_tag() {
    await "the instance's metadata" is_answered "tags/instance/$1"
    echo "$value"
}

# told PATH: a metadata value that must exist, now or later, and is a plain name.
told() {
    await "$1 of the instance's metadata" is_told "$1"
    plain "$1 of the instance's metadata" "$value"
    echo "$value"
}

# plain WHAT VALUE: refuses a value that is no name, before it is used in a path or a file.
plain() {
    [[ $2 =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || refuse "$1 is no plain name: '$2'"
}

# ipv4 WHAT VALUE: refuses a value that is no IPv4 address.
ipv4() {
    [[ $2 =~ ^[0-9]{1,3}(\.[0-9]{1,3}){3}$ ]] || refuse "$1 is no IPv4 address: '$2'"
}

# Whether a network interface of this machine has that address.
has_ipv4() {
    [[ -n "$(ip -oneline -4 address show to "$1/32" scope global)" ]]
}

# The address at which the member serves: the fixed one of its slot, once the machine has it, or the instance's own.
member_address() {
    local address
    address="$(optional_tag hermitcrab:address)"
    if [[ -z $address ]]; then
        told local-ipv4
        return
    fi
    ipv4 "the tag hermitcrab:address" "$address"
    await "the fixed address $address, which EC2 moves here" has_ipv4 "$address"
    echo "$address"
}

# Into `cluster` and `slot`: the cluster and the slot of this instance.
identify() {
    cluster="$(tag hermitcrab:cluster)"
    slot="$(tag hermitcrab:slot)"
    plain "the tag hermitcrab:cluster" "$cluster"
    plain "the tag hermitcrab:slot" "$slot"
}

# The file at the root of each volume's file system that names the volume's owner.
readonly stamp_name=.hermitcrab

# stamp_text CLUSTER SLOT VOLUME
stamp_text() { printf 'cluster %s\nslot %s\nvolume %s\n' "$@"; }

# stamp_write ROOT VOLUME: writes the stamp to the disk before anything else, and never half of it.
stamp_write() {
    stamp_text "$cluster" "$slot" "$2" >"$1/$stamp_name.new"
    sync "$1/$stamp_name.new"
    mv "$1/$stamp_name.new" "$1/$stamp_name"
    sync --file-system "$1"
}

# stamp_read ROOT: prints the stamp in one line, or nothing if there is none.
stamp_read() {
    [[ ! -e $1/$stamp_name ]] || head -c 1024 "$1/$stamp_name" | tr '\n' ' ' | sed 's/ $//'
}

# stamp_ours VOLUME: the line that `stamp_read` must print.
stamp_ours() { stamp_text "$cluster" "$slot" "$1" | tr '\n' ' ' | sed 's/ $//'; }

# check_stamp VOLUME ROOT: refuses a folder that is not the slot's volume of that name, before a member is started on it.
check_stamp() {
    local stamp
    stamp="$(stamp_read "$2")"
    [[ $stamp == "$(stamp_ours "$1")" ]] || refuse "$2 is not the volume $1 of $cluster/$slot, but '${stamp:-without a stamp}'"
}

# is_copy CLUSTER VOLUME STAMP: succeeds if a volume with that stamp is a copy of that other cluster's volume.
is_copy() { [[ -n $1 && $1 != "$cluster" && $3 == "cluster $1 slot "*" volume $2" ]]; }

# take_copy VOLUME ROOT: isolates a copied volume, and then stamps it. So a member can be started on every stamped volume, and
# an isolation that was cut short is made again.
take_copy() {
    "$HERMITCRAB_ISOLATE" "$1" "$2" || fail "the copied volume $1 was not cut off from where it comes from"
    sync --file-system "$2"
    stamp_write "$2" "$1"
}
