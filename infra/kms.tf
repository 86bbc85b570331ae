# A key for volumes, if one is wanted. Without it hermitcrab's volumes are encrypted with the account's aws/ebs.

data "aws_iam_policy_document" "volumes" {
  # checkov:skip=CKV_AWS_109: the account's administrators decide by IAM who may use the key, as AWS's default policy has it
  # checkov:skip=CKV_AWS_111: for the same reason as the check before
  # checkov:skip=CKV_AWS_356: in a key policy, `*` is this key

  statement {
    sid       = "LeaveItToIam"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${var.account}:root"]
    }
  }

  # A group launches with its own role, which IAM policies do not reach.
  dynamic "statement" {
    for_each = var.auto_scaling_group == null ? [] : [
      { sid = "GroupsUse", actions = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"], grants = false },
      { sid = "GroupsGrantToEbs", actions = ["kms:CreateGrant"], grants = true },
    ]

    content {
      sid       = statement.value.sid
      actions   = statement.value.actions
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = ["arn:aws:iam::${var.account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"]
      }

      dynamic "condition" {
        for_each = statement.value.grants ? [true] : []

        content {
          test     = "Bool"
          variable = "kms:GrantIsForAWSResource"
          values   = ["true"]
        }
      }
    }
  }
}

resource "aws_kms_key" "volumes" {
  count = var.volume_key ? 1 : 0

  description             = "EBS volumes of ${var.cluster}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.volumes.json

  # With the key go all volumes and snapshots that it encrypts.
  lifecycle {
    prevent_destroy = true
  }

  # The first group of an account makes the role that the key's policy names.
  depends_on = [aws_autoscaling_group.members]
}

resource "aws_kms_alias" "volumes" {
  count = var.volume_key ? 1 : 0

  name          = "alias/${var.cluster}-volumes"
  target_key_id = aws_kms_key.volumes[0].key_id
}

# For the whole account, in this region.

resource "aws_ebs_default_kms_key" "volumes" {
  count = var.volume_key ? 1 : 0

  key_arn = aws_kms_key.volumes[0].arn
}

resource "aws_ebs_encryption_by_default" "volumes" {
  count = var.volume_key ? 1 : 0

  enabled = true
}
