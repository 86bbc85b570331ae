# Who talked to whom in the VPC, if that is wanted.

locals {
  flow_log_group = "arn:aws:logs:${var.region}:${var.account}:log-group:/hermitcrab/${var.cluster}/flow"
}

resource "aws_cloudwatch_log_group" "flow" {
  # checkov:skip=CKV_AWS_158: addresses and ports only, encrypted by CloudWatch itself; a key of one's own adds a way to lose them
  count = var.flow_logs ? 1 : 0

  name              = "/hermitcrab/${var.cluster}/flow"
  retention_in_days = var.log_retention_days
}

resource "aws_flow_log" "vpc" {
  count = var.flow_logs ? 1 : 0

  vpc_id          = aws_vpc.this.id
  traffic_type    = "ALL"
  iam_role_arn    = aws_iam_role.flow[0].arn
  log_destination = aws_cloudwatch_log_group.flow[0].arn
}

data "aws_iam_policy_document" "flow_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account]
    }
  }
}

# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
data "aws_iam_policy_document" "flow" {
  # checkov:skip=CKV_AWS_356: to look for log groups knows no resources
  statement {
    actions = [
      "logs:CreateLogGroup",
      "logs:CreateLogStream",
      "logs:DescribeLogStreams",
      "logs:PutLogEvents",
    ]
    resources = [for suffix in ["", ":*"] : "${local.flow_log_group}${suffix}"]
  }

  statement {
    actions   = ["logs:DescribeLogGroups"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "flow" {
  count = var.flow_logs ? 1 : 0

  name               = "${var.cluster}-flow-logs"
  assume_role_policy = data.aws_iam_policy_document.flow_trust.json
}

resource "aws_iam_role_policy" "flow" {
  count = var.flow_logs ? 1 : 0

  name   = "write"
  role   = aws_iam_role.flow[0].id
  policy = data.aws_iam_policy_document.flow.json
}
