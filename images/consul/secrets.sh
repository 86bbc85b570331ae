#!/usr/bin/env bash
# Makes the secrets of a new Consul cluster, once: gossip key, a certificate authority of its own, the servers' certificate, and the
# token that manages its ACLs. They go to SSM parameters, from where members fetch them into memory, and hermitcrab's part into a folder.
#
#     images/consul/secrets.sh CLUSTER DATACENTER FOLDER
#
# Needs openssl, and the AWS CLI with credentials that may ssm:PutParameter below /CLUSTER. With AWS=no nothing is sent, and all of it
# is in the folder. Secrets that are there already are never replaced: the second run ends at the first of them.
set -euo pipefail
umask 077

[[ $# -eq 3 ]] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 1; }
cluster="$1" datacenter="$2" folder="$3"
for name in "$cluster" "$datacenter"; do
    [[ $name =~ ^[a-z0-9][a-z0-9-]*$ ]] || { echo "'$name' is no name: lower-case letters, digits and '-'" >&2; exit 1; }
done
[[ ! -e $folder ]] || { echo "$folder is there already: secrets are made once" >&2; exit 1; }
mkdir -p "$folder/members"

authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -sha256 \
        -subj "/CN=Consul CA of $cluster" -addext basicConstraints=critical,CA:true,pathlen:0 \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$folder/ca-key.pem" -out "$folder/ca.pem" 2>/dev/null
}

# The name that every server of a datacenter has, by which Consul and hermitcrab know a server from a client.
certificate() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=server.$datacenter.consul" \
        -keyout "$folder/members/server-key.pem" -out "$folder/server.csr" 2>/dev/null
    cat >"$folder/extensions" <<END
basicConstraints=critical,CA:false
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=DNS:server.$datacenter.consul,DNS:localhost,IP:127.0.0.1
END
    openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca-key.pem" -CAcreateserial -days 1825 \
        -sha256 -extfile "$folder/extensions" -out "$folder/members/server.pem" 2>/dev/null
    rm "$folder/server.csr" "$folder/extensions" "$folder"/*.srl
}

put() {
    [[ ${AWS-} != no ]] || return 0
    aws ssm put-parameter --type SecureString --name "/$cluster/$1" --value "file://$folder/members/$1" >/dev/null
}

authority
certificate
cp "$folder/ca.pem" "$folder/members/ca.pem"
openssl rand -base64 32 >"$folder/members/gossip.key"
tr -d '\n' </proc/sys/kernel/random/uuid >"$folder/members/management.token"
cp "$folder/members/management.token" "$folder/consul-token"

secrets=(gossip.key ca.pem server.pem server-key.pem management.token)
for name in "${secrets[@]}"; do
    put "$name"
done
{
    echo '#cloud-config'
    echo 'write_files:'
    echo '  - path: /etc/hermitcrab/consul-secrets'
    echo '    content: |'
    for name in "${secrets[@]}"; do
        echo "      $name /$cluster/$name"
    done
} >"$folder/user-data.yaml"
[[ ${AWS-} == no ]] || rm -r "$folder/members"
chmod 0644 "$folder/ca.pem" "$folder/user-data.yaml"

cat <<END
In infra/terraform.tfvars:
    secret_parameters = ["/$cluster/*"]
In the desired-state file, with $folder/user-data.yaml beside it, and ca.pem and consul-token where the controller runs:
    application:
      consul: { datacenter: $datacenter, scheme: https, port: 8501, caFile: …/ca.pem, tokenFile: …/consul-token }
    instance:
      userDataFile: user-data.yaml
Keep $folder/ca-key.pem offline: whoever has it can join the cluster.
END
