#!/usr/bin/env bash
# Installs the SSM agent of SSM_AGENT_VERSION from the bucket of AWS_REGION, by which people look into a member; none where that is
# empty. It is checked against SSM_AGENT_SHA256_amd64 or SSM_AGENT_SHA256_arm64 where those are set. Debian's images come without it.
set -euo pipefail
[[ -n ${SSM_AGENT_VERSION-} ]] || exit 0
work="$(mktemp --directory)"
arch="$(dpkg --print-architecture)"
checksum="SSM_AGENT_SHA256_$arch"
curl --silent --show-error --fail --location --retry 5 --output "$work/agent.deb" \
    "https://s3.$AWS_REGION.amazonaws.com/amazon-ssm-$AWS_REGION/$SSM_AGENT_VERSION/debian_$arch/amazon-ssm-agent.deb"
[[ -z ${!checksum-} ]] || echo "${!checksum}  $work/agent.deb" | sha256sum --check --strict
dpkg --install "$work/agent.deb"
rm -r "$work"
systemctl enable amazon-ssm-agent.service
