# The image of a member of PostgreSQL under Patroni: Debian, both of them, and the guest's scripts. Which PostgreSQL:
# patroni.auto.pkrvars.hcl beside this. What else can be set: builder.pkr.hcl.

variable "postgresql_version" {
  type        = string
  description = "A minor release of PostgreSQL 15, such as 15.18, of which Debian 12 or its security archive has the package."
}

variable "patroni_version" {
  type        = string
  default     = "3.0.2"
  description = "The release of Patroni of which Debian 12 has the package."
}

variable "postgres_uid" {
  type        = number
  default     = 902
  description = "The user and group id that PostgreSQL runs as. Its files on the volumes bear it, so it must never change."
}

locals {
  # Without a communicator there is nobody to provision.
  unprovisioned = var.communicator == "none" ? ["amazon-ebs.patroni"] : []
}

source "amazon-ebs" "patroni" {
  ami_name        = "patroni-${var.postgresql_version}-${var.architecture}-${local.built}"
  ami_description = "PostgreSQL ${var.postgresql_version} under Patroni for a slot of a hermitcrab cluster"
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
    Name               = "patroni-${var.postgresql_version}"
    postgresql-version = var.postgresql_version
    source-ami         = "{{ .SourceAMI }}"
  }
}

build {
  sources = ["source.amazon-ebs.patroni"]

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
      "POSTGRESQL_VERSION=${var.postgresql_version}",
      "PATRONI_VERSION=${var.patroni_version}",
      "POSTGRES_UID=${var.postgres_uid}",
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
      architecture       = var.architecture
      postgresql_version = var.postgresql_version
    }
  }
}
