# The release that a cluster begins with in the tutorial. https://releases.hashicorp.com/consul/1.18.2/
consul_version = "1.18.2"
consul_sha256 = {
  amd64 = "522045180a4e644af6e2d97824850b470545f176aabdb4898635afda512a6a3f"
  arm64 = "7eec1c8d50f99284abc28a2e4678ff1bd1265811a5e2a2a037ab7f5c043ac518"
}
