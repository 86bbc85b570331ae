# A small instance that runs the controller, unless it is to run elsewhere. People reach it, and through it the members, by Session
# Manager. The program and the desired state come from the bucket once a minute.

locals {
  host_files = {
    "/etc/systemd/system/hermitcrab.service"       = file("${path.module}/../deploy/systemd/hermitcrab.service")
    "/etc/systemd/system/hermitcrab-fetch.service" = file("${path.module}/host/hermitcrab-fetch.service")
    "/etc/systemd/system/hermitcrab-fetch.timer"   = file("${path.module}/host/hermitcrab-fetch.timer")
    "/usr/local/lib/hermitcrab/fetch"              = file("${path.module}/host/fetch.sh")

    "/etc/hermitcrab/hermitcrab.env" = join("\n", [
      "HERMITCRAB_DESIRED_STATE=/etc/hermitcrab/desired-state",
      "HERMITCRAB_OPTIONS=--claims s3://${aws_s3_bucket.controller.id}/claims ${var.controller_options}",
      "",
    ])

    "/etc/hermitcrab/fetch.env" = join("\n", [
      "BUCKET=${aws_s3_bucket.controller.id}",
      "AWS_DEFAULT_REGION=${var.region}",
      "",
    ])

    # `AWS_PROFILE=rehearsal hermitcrab rehearse …`: credentials of that role, which are renewed when they expire.
    "/etc/hermitcrab/aws-config" = join("\n", [
      "[profile rehearsal]",
      "role_arn = ${aws_iam_role.rehearsal.arn}",
      "credential_source = Ec2InstanceMetadata",
      "region = ${var.region}",
      "",
    ])
  }

  host_setup = {
    write_files = [
      for path, content in local.host_files :
      { path = path, content = content, permissions = startswith(path, "/usr/local/lib/") ? "0755" : "0644" }
    ]
    runcmd = [
      ["systemctl", "daemon-reload"],
      ["systemctl", "enable", "--now", "hermitcrab-fetch.timer"],
    ]
  }
}

# Amazon Linux 2023 has the SSM agent and the AWS CLI.
data "aws_ssm_parameter" "host_image" {
  count = var.controller_host && var.controller_image == null ? 1 : 0

  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

resource "aws_instance" "controller" {
  # checkov:skip=CKV_AWS_126: once in five minutes is enough, and free
  count = var.controller_host ? 1 : 0

  ami                    = coalesce(var.controller_image, one(data.aws_ssm_parameter.host_image[*].insecure_value))
  instance_type          = var.controller_instance_type
  subnet_id              = aws_subnet.member[var.zones[0]].id
  vpc_security_group_ids = [aws_security_group.controller.id]
  iam_instance_profile   = aws_iam_instance_profile.controller.name
  ebs_optimized          = true

  user_data                   = "#cloud-config\n${yamlencode(local.host_setup)}"
  user_data_replace_on_change = true

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
    volume_size = 8
  }

  tags = { Name = "${var.cluster}-controller" }

  # A newer Amazon Linux is taken when somebody says so: `terraform apply -replace 'aws_instance.controller[0]'`.
  lifecycle {
    ignore_changes = [ami]
  }

  depends_on = [aws_ec2_subnet_cidr_reservation.fixed, aws_vpc_endpoint.aws, aws_vpc_endpoint.s3, aws_iam_role_policy.host]
}

# What the host may do beside what the controller may.

data "aws_iam_policy_document" "host" {
  source_policy_documents = [
    data.aws_iam_policy_document.sessions.json,
    data.aws_iam_policy_document.claims.json,
  ]

  statement {
    sid       = "Fetch"
    actions   = ["s3:GetObject"]
    resources = [for folder in ["program", "desired-state"] : "${aws_s3_bucket.controller.arn}/${folder}/*"]
  }

  statement {
    sid       = "Rehearse"
    actions   = ["sts:AssumeRole"]
    resources = [aws_iam_role.rehearsal.arn]
  }
}

resource "aws_iam_role_policy" "host" {
  name   = "host"
  role   = aws_iam_role.controller.id
  policy = data.aws_iam_policy_document.host.json
}
