# What the controller may do: the policy that `hermitcrab iam-policy` prints, byte for byte.

locals {
  # What it prints for example.yaml, with and without a key and a group. `cargo test --test infra` holds the files to it,
  # and the exchange below to what it prints for another cluster.
  policy_name = join("-", concat(
    ["controller"],
    var.volume_key ? ["key"] : [],
    var.auto_scaling_group == null ? [] : ["group"],
  ))
  example_policy = file("${path.module}/policies/${local.policy_name}.json")

  # The example's account, region, names and key, in exchange for ours.
  for_account = replace(local.example_policy, "123456789012", var.account)
  for_region  = replace(local.for_account, "us-east-1", var.region)
  for_cluster = replace(local.for_region, "consul-example", var.cluster)
  for_key     = var.volume_key ? replace(local.for_cluster, "00000000-0000-0000-0000-000000000000", one(aws_kms_key.volumes[*].key_id)) : local.for_cluster

  controller_policy = var.controller_policy_file == null ? local.for_key : file(var.controller_policy_file)
}

data "aws_iam_policy_document" "controller_trust" {
  source_policy_documents = [data.aws_iam_policy_document.ec2_trust.json]

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
}

resource "aws_iam_role" "controller" {
  name               = "${var.cluster}-controller"
  assume_role_policy = data.aws_iam_policy_document.controller_trust.json
}

# Inline: within a role IAM takes 10,240 characters, in a policy of its own 6,144, which files with many groups exceed.
resource "aws_iam_role_policy" "controller" {
  name   = "hermitcrab"
  role   = aws_iam_role.controller.id
  policy = local.controller_policy

  lifecycle {
    precondition {
      condition     = strcontains(local.controller_policy, ":${var.account}:") || strcontains(local.controller_policy, ":*:")
      error_message = "The policy in ${coalesce(var.controller_policy_file, "policies")} names another account than ${var.account}: print it anew with `hermitcrab iam-policy`, from files whose `account` this is."
    }
  }
}

resource "aws_iam_instance_profile" "controller" {
  name = aws_iam_role.controller.name
  role = aws_iam_role.controller.name
}
