# The release that it is upgraded to, a minor one of the same major version.
# https://www.postgresql.org/docs/release/15.20/
postgresql_version = "15.20"
