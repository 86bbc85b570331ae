# The release that it is upgraded to. https://releases.hashicorp.com/consul/1.20.1/
consul_version = "1.20.1"
consul_sha256 = {
  amd64 = "d38e7571177909d437a9cbcc62fb65083bc567266b74a62d02c6abe783951648"
  arm64 = "03ad4cf513819413016a79154e74161bcfa3c9e1fbfcbdc9eca525b2123d4779"
}
