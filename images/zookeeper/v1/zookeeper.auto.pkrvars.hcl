# The release to begin with. https://zookeeper.apache.org/doc/r3.8.0/releasenotes.html
zookeeper_version = "3.8.0"
debian            = 12
