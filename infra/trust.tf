# Who may take on the controller's role and the rehearsals': instances, other roles, and whoever shows a token of an OIDC provider
# (GitHub's and GitLab's jobs, pods of EKS, anything else).

locals {
  # Long enough for a rehearsal with data, and for the pipelines in deploy/, which ask for two hours.
  longest_session = 4 * 60 * 60
}

# An account has one provider for each issuer.
resource "aws_iam_openid_connect_provider" "made" {
  for_each = var.oidc_providers

  url            = "https://${each.key}"
  client_id_list = distinct([for trust in var.oidc_trust : trust.audience if trust.issuer == each.key])
}

data "aws_iam_policy_document" "oidc_trust" {
  for_each = toset(["controller", "rehearsal"])

  dynamic "statement" {
    for_each = [for trust in var.oidc_trust : trust if trust.role == each.key]

    content {
      actions = ["sts:AssumeRoleWithWebIdentity"]

      principals {
        type        = "Federated"
        identifiers = ["arn:aws:iam::${var.account}:oidc-provider/${statement.value.issuer}"]
      }

      condition {
        test     = "StringEquals"
        variable = "${statement.value.issuer}:aud"
        values   = [statement.value.audience]
      }

      condition {
        test     = "StringLike"
        variable = "${statement.value.issuer}:sub"
        values   = statement.value.subjects
      }
    }
  }
}

data "aws_iam_policy_document" "controller_trust" {
  source_policy_documents = [
    data.aws_iam_policy_document.ec2_trust.json,
    data.aws_iam_policy_document.oidc_trust["controller"].json,
  ]

  dynamic "statement" {
    for_each = length(var.controller_trust) == 0 ? [] : [var.controller_trust]

    content {
      actions = ["sts:AssumeRole"]

      principals {
        type        = "AWS"
        identifiers = statement.value
      }
    }
  }

  # EKS Pod Identity: which pods, its associations say.
  dynamic "statement" {
    for_each = var.controller_pod_identity ? [true] : []

    content {
      actions = ["sts:AssumeRole", "sts:TagSession"]

      principals {
        type        = "Service"
        identifiers = ["pods.eks.amazonaws.com"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [var.account]
      }
    }
  }
}

data "aws_iam_policy_document" "rehearsal_trust" {
  source_policy_documents = [data.aws_iam_policy_document.oidc_trust["rehearsal"].json]

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = concat([aws_iam_role.controller.arn], var.rehearsal_trust)
    }
  }
}
