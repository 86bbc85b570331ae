# What a member may ask of AWS: who its peers are, its secrets, and a session for a person.

data "aws_iam_policy_document" "ec2_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

# Sessions for people, in place of ssh: what AmazonSSMManagedInstanceCore allows, less every parameter of the account.
data "aws_iam_policy_document" "sessions" {
  # checkov:skip=CKV_AWS_356: the calls of a session know no resources
  # checkov:skip=CKV_AWS_111: what a session writes is its own channel
  statement {
    sid = "HaveSessions"
    actions = [
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "member" {
  # checkov:skip=CKV_AWS_356: DescribeInstances knows no resources
  source_policy_documents = [data.aws_iam_policy_document.sessions.json]

  statement {
    sid       = "FindPeers"
    actions   = ["ec2:DescribeInstances"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestedRegion"
      values   = [var.region]
    }
  }

  dynamic "statement" {
    for_each = length(var.secret_parameters) == 0 ? [] : [var.secret_parameters]

    content {
      sid       = "ReadSecrets"
      actions   = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"]
      resources = [for path in statement.value : "arn:aws:ssm:${var.region}:${var.account}:parameter${path}"]
    }
  }

  dynamic "statement" {
    for_each = var.secret_key == null ? [] : [var.secret_key]

    content {
      sid       = "DecryptSecrets"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["ssm.${var.region}.amazonaws.com"]
      }
    }
  }
}

# Role and profile have one name: the controller's policy lets it pass the role that is called like the profile.

resource "aws_iam_role" "member" {
  name               = "${var.cluster}-member"
  assume_role_policy = data.aws_iam_policy_document.ec2_trust.json
}

resource "aws_iam_role_policy" "member" {
  name   = "member"
  role   = aws_iam_role.member.id
  policy = data.aws_iam_policy_document.member.json
}

resource "aws_iam_instance_profile" "member" {
  name = aws_iam_role.member.name
  role = aws_iam_role.member.name
}
