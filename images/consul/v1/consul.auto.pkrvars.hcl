# The release that a cluster begins with in the tutorial. 2.0 is supported until April 2028.
# https://releases.hashicorp.com/consul/2.0.1/
consul_version = "2.0.1"
consul_sha256 = {
  amd64 = "f8189736b05e3fe42d27dd83dfbd3a6d7e44b5669b2e51684362e9c1639babe0"
  arm64 = "06a88f29c408f02a4c6388dccf30c059b8d8ce3778576701603fbb4dfc03b365"
}
