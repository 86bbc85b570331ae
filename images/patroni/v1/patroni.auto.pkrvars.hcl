# The release to begin with.
# https://www.postgresql.org/docs/release/15.18/
postgresql_version = "15.18"
