# Which Terraform and which provider this is written for, and where its state is kept.

terraform {
  # The lock of the S3 backend lies beside the state since 1.11.
  required_version = "~> 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }

  # The rest comes from a file: see backend.example.hcl.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account]

  default_tags {
    tags = {
      cluster    = var.cluster
      managed-by = "terraform"
    }
  }
}
