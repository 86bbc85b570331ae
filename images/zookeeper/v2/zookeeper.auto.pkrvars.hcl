# The release that it is upgraded to, of the next minor version. https://zookeeper.apache.org/doc/r3.9.3/releasenotes.html
zookeeper_version = "3.9.3"
debian            = 13
