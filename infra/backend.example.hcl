# Where the state is kept. Copy to backend.hcl, fill in, and `terraform init -backend-config=backend.hcl`.
# The bucket must exist, with versioning on and public access blocked. One key for each cluster.
bucket = "example-terraform-state"
key    = "hermitcrab/consul-prod.tfstate"
region = "us-east-1"
