# The release that it is upgraded to.
# https://releases.hashicorp.com/consul/2.0.2/
consul_version = "2.0.2"
consul_sha256 = {
  amd64 = "96e56c9d06b4a15bfa316afa39af926c1b67d189f66388dc1eecbb7c26faeed4"
  arm64 = "70c13b33f47da13c7c797b57d6ccc8a738ecf33c8e3aec4c268640dc17ba660c"
}
