# The release that it is upgraded to, the next minor version.
# https://github.com/etcd-io/etcd/releases/tag/v3.6.14
etcd_version = "3.6.14"
etcd_sha256 = {
  amd64 = "ffe840ff9295808e88cce2794a18a5ac87f12a5203c8314d0bf6aa119b41bac5"
  arm64 = "fa1b80565ee6fc2df1ae6f57a508b221f3ecc7d591c317c581cd8281b0842b3e"
}
