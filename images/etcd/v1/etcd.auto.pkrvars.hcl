# The release to begin with. It has what 3.6 asks of the members that it is to meet in a rollout.
# https://github.com/etcd-io/etcd/releases/tag/v3.5.33
etcd_version = "3.5.33"
etcd_sha256 = {
  amd64 = "5025b5b24d81a9616b6e284ccd439b9a3df055ef8fdcdc142af3ec8f6a3b3c95"
  arm64 = "0764c5c0acef155f4bfa0487791cc5776adef66315bf16ec0653883bfd463a90"
}
