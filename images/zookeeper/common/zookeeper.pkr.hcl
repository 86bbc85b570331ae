# The image of a ZooKeeper server: Debian, ZooKeeper, and the guest's scripts. Which ZooKeeper: zookeeper.auto.pkrvars.hcl beside
# this. What else can be set: builder.pkr.hcl.

variable "zookeeper_version" {
  type        = string
  description = "A release of ZooKeeper, such as 3.8.0, of which that Debian has the package."
}

variable "debian" {
  type        = number
  description = "The release of Debian to start from, which has the package."
}

variable "zookeeper_uid" {
  type        = number
  default     = 903
  description = "The user and group id that ZooKeeper runs as. Its files on the volumes bear it, so it must never change."
}

locals {
  # Without a communicator there is nobody to provision.
  unprovisioned = var.communicator == "none" ? ["amazon-ebs.zookeeper"] : []
}

source "amazon-ebs" "zookeeper" {
  ami_name        = "zookeeper-${var.zookeeper_version}-${var.architecture}-${local.built}"
  ami_description = "ZooKeeper ${var.zookeeper_version} for a slot of a hermitcrab cluster"
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
        name                = "debian-${var.debian}-${var.architecture}-*"
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
    Name              = "zookeeper-${var.zookeeper_version}"
    zookeeper-version = var.zookeeper_version
    source-ami        = "{{ .SourceAMI }}"
  }
}

build {
  sources = ["source.amazon-ebs.zookeeper"]

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
      "ZOOKEEPER_VERSION=${var.zookeeper_version}",
      "ZOOKEEPER_UID=${var.zookeeper_uid}",
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
      architecture      = var.architecture
      zookeeper_version = var.zookeeper_version
    }
  }
}
