# What the controller and rehearsals may do: the policies that `hermitcrab iam-policy` prints, byte for byte.

locals {
  # What it prints for example.yaml, with and without a key, a group and fixed addresses. `cargo test --test infra` holds the
  # files to it, and the exchange below to what it prints for another cluster.
  variant = join("", [
    var.volume_key ? "-key" : "",
    var.auto_scaling_group == null ? "" : "-group",
    local.fixed_addresses ? "-addresses" : "",
  ])
  example_policies = {
    for task in ["controller", "rehearsal"] : task => file("${path.module}/policies/${task}${local.variant}.json")
  }

  # The example's account, region, names and key, in exchange for ours.
  for_account = { for task, text in local.example_policies : task => replace(text, "123456789012", var.account) }
  for_region  = { for task, text in local.for_account : task => replace(text, "us-east-1", var.region) }
  for_cluster = { for task, text in local.for_region : task => replace(text, "consul-example", var.cluster) }
  key_id      = coalesce(one(aws_kms_key.volumes[*].key_id), "none")
  for_key     = { for task, text in local.for_cluster : task => replace(text, "00000000-0000-0000-0000-000000000000", local.key_id) }

  policies = {
    controller = var.controller_policy_file == null ? local.for_key.controller : file(var.controller_policy_file)
    rehearsal  = var.rehearsal_policy_file == null ? local.for_key.rehearsal : file(var.rehearsal_policy_file)
  }

  # The accounts that a policy's resources lie in. Some kinds of resources bear none, and some policies name any.
  policy_accounts = {
    for task, text in local.policies : task => setsubtract(
      toset([for arn in flatten([for one in jsondecode(text).Statement : one.Resource]) : try(split(":", arn)[4], "*")]),
      ["", "*"],
    )
  }
}

resource "aws_iam_role" "controller" {
  name                 = "${var.cluster}-controller"
  assume_role_policy   = data.aws_iam_policy_document.controller_trust.json
  max_session_duration = local.longest_session

  depends_on = [aws_iam_openid_connect_provider.made]
}

# Inline: within a role IAM takes 10,240 characters, in a policy of its own 6,144, which files with many groups exceed.
resource "aws_iam_role_policy" "controller" {
  name   = "hermitcrab"
  role   = aws_iam_role.controller.id
  policy = local.policies.controller

  lifecycle {
    precondition {
      condition     = length(setsubtract(local.policy_accounts.controller, [var.account])) == 0
      error_message = "The policy in ${coalesce(var.controller_policy_file, "policies")} names another account than ${var.account}: print it anew with `hermitcrab iam-policy`, from files whose `account` this is."
    }
  }
}

resource "aws_iam_instance_profile" "controller" {
  name = aws_iam_role.controller.name
  role = aws_iam_role.controller.name
}

# Whoever rehearses makes and deletes copies, and does nothing to the cluster.

resource "aws_iam_role" "rehearsal" {
  name                 = "${var.cluster}-rehearsal"
  assume_role_policy   = data.aws_iam_policy_document.rehearsal_trust.json
  max_session_duration = local.longest_session

  depends_on = [aws_iam_openid_connect_provider.made]
}

resource "aws_iam_role_policy" "rehearsal" {
  name   = "hermitcrab"
  role   = aws_iam_role.rehearsal.id
  policy = local.policies.rehearsal

  lifecycle {
    precondition {
      condition     = length(setsubtract(local.policy_accounts.rehearsal, [var.account])) == 0
      error_message = "The policy in ${coalesce(var.rehearsal_policy_file, "policies")} names another account than ${var.account}: print it anew with `hermitcrab iam-policy --rehearse`, from files whose `account` this is."
    }
  }
}

resource "aws_iam_role_policy" "rehearsal_claims" {
  name   = "claims"
  role   = aws_iam_role.rehearsal.id
  policy = data.aws_iam_policy_document.claims.json
}
