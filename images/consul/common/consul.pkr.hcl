# The image of a Consul server: Debian, Consul, and the guest's scripts. Which Consul: consul.auto.pkrvars.hcl beside this.

variable "consul_version" {
  type        = string
  description = "A release of Consul, without a v."
}

variable "consul_sha256" {
  type        = map(string)
  description = "The checksum of that release's linux zip for each architecture, from its SHA256SUMS file."
}

variable "consul_uid" {
  type        = number
  default     = 900
  description = "The user and group id that Consul runs as. Its files on the volumes bear it, so it must never change."
}

variable "architecture" {
  type        = string
  default     = "amd64"
  description = "Of the image: amd64 or arm64."
}

variable "region" {
  type        = string
  default     = "us-east-1"
  description = "Where the image is built, and is."
}

variable "source_ami" {
  type        = string
  default     = ""
  description = "The image to start from. Empty: the newest Debian 12 of Debian's own account."
}

variable "source_owner" {
  type        = string
  default     = "136693071363"
  description = "The account whose Debian images are taken. The default is Debian's own."
}

variable "subnet_id" {
  type        = string
  default     = ""
  description = "Where the builder runs. Empty: the default VPC."
}

variable "associate_public_ip_address" {
  type        = bool
  default     = false
  description = "Whether the builder is given a public address, in a subnet of `subnet_id` that does not give one by itself."
}

variable "ssm_agent_version" {
  type        = string
  default     = "latest"
  description = "The release of the SSM agent, such as 3.3.2299.0, by which people look into a member. Empty: none is installed."
}

variable "ssm_agent_sha256" {
  type        = map(string)
  default     = {}
  description = "The checksum of that release's Debian package for each architecture. Left out, it is what the region's own bucket of AWS gives by HTTPS."
}

variable "builder_cidrs" {
  type        = list(string)
  description = "From where the builder may be reached by SSH while it runs, such as [\"203.0.113.4/32\"]."
}

variable "encrypt" {
  type        = bool
  default     = true
  description = "Whether the image's root volume is encrypted, with the account's default key."
}

variable "manifest" {
  type        = string
  default     = "packer-manifest.json"
  description = "The file that says which image was made, for `hermitcrab promote`."
}

variable "ec2_endpoint" {
  type        = string
  default     = ""
  description = "Another endpoint than AWS's own."
}

variable "communicator" {
  type        = string
  default     = "ssh"
  description = "With none, the builder is not reached and nothing is installed: a trial of the template alone."
}

locals {
  built = formatdate("YYYYMMDDhhmmss", timestamp())
  types = { amd64 = "t3.small", arm64 = "t4g.small" }
  # The names that EC2 has for them.
  architectures = { amd64 = "x86_64", arm64 = "arm64" }
  # Without a communicator there is nobody to provision.
  unprovisioned = var.communicator == "none" ? ["amazon-ebs.consul"] : []
}

source "amazon-ebs" "consul" {
  ami_name        = "consul-${var.consul_version}-${var.architecture}-${local.built}"
  ami_description = "Consul ${var.consul_version} for a slot of a hermitcrab cluster"
  encrypt_boot    = var.encrypt

  region        = var.region
  subnet_id     = var.subnet_id
  instance_type = local.types[var.architecture]
  source_ami    = var.source_ami

  associate_public_ip_address = var.associate_public_ip_address

  dynamic "source_ami_filter" {
    for_each = var.source_ami == "" ? [1] : []
    content {
      owners      = [var.source_owner]
      most_recent = true
      filters = {
        name                = "debian-12-${var.architecture}-*"
        architecture        = local.architectures[var.architecture]
        root-device-type    = "ebs"
        virtualization-type = "hvm"
      }
    }
  }

  communicator                          = var.communicator
  ssh_username                          = "admin"
  ssh_clear_authorized_keys             = true
  temporary_key_pair_type               = "ed25519"
  temporary_security_group_source_cidrs = var.builder_cidrs

  custom_endpoint_ec2        = var.ec2_endpoint
  skip_region_validation     = var.ec2_endpoint != ""
  skip_credential_validation = var.ec2_endpoint != ""

  tags = {
    Name           = "consul-${var.consul_version}"
    consul-version = var.consul_version
    source-ami     = "{{ .SourceAMI }}"
    # What has to be so before its instances are given a copy of a cluster's data.
    hermitcrab-guest = "isolates-copies"
  }
}

build {
  sources = ["source.amazon-ebs.consul"]

  provisioner "shell" {
    except = local.unprovisioned
    inline = ["cloud-init status --wait >/dev/null", "mkdir -p /tmp/image"]
  }

  provisioner "file" {
    except      = local.unprovisioned
    sources     = ["${path.root}/../../guest", "${path.root}/../common"]
    destination = "/tmp/image/"
  }

  provisioner "shell" {
    except          = local.unprovisioned
    execute_command = "sudo env {{ .Vars }} bash '{{ .Path }}'"
    environment_vars = [
      "CONSUL_VERSION=${var.consul_version}",
      "CONSUL_SHA256_amd64=${lookup(var.consul_sha256, "amd64", "")}",
      "CONSUL_SHA256_arm64=${lookup(var.consul_sha256, "arm64", "")}",
      "CONSUL_UID=${var.consul_uid}",
      "SSM_AGENT_VERSION=${var.ssm_agent_version}",
      "SSM_AGENT_SHA256_amd64=${lookup(var.ssm_agent_sha256, "amd64", "")}",
      "SSM_AGENT_SHA256_arm64=${lookup(var.ssm_agent_sha256, "arm64", "")}",
      "AWS_REGION=${var.region}",
      "GUEST=/tmp/image/guest",
    ]
    inline = ["bash /tmp/image/common/install.sh", "bash /tmp/image/common/clean.sh", "rm -r /tmp/image"]
  }

  post-processor "manifest" {
    output = var.manifest
    custom_data = {
      architecture   = var.architecture
      consul_version = var.consul_version
    }
  }
}
