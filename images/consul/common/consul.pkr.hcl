# The image of a Consul server: Debian, Consul, and the guest's scripts. Which Consul: consul.auto.pkrvars.hcl beside
# this. What else can be set: builder.pkr.hcl.

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

locals {
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
    inline = ["bash /tmp/image/common/install.sh", "bash /tmp/image/guest/clean.sh", "rm -r /tmp/image"]
  }

  post-processor "manifest" {
    output = var.manifest
    custom_data = {
      architecture   = var.architecture
      consul_version = var.consul_version
    }
  }
}
