# For Packer 1.10 and newer, which come without builders: `packer init images/plugins.pkr.hcl`, once. It lies apart because
# older ones, which have them built in, refuse this block.
packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.0, < 2.0.0"
    }
  }
}
