# The controller's bucket: the program, the desired state, and the record of what is under way. Names in it:
#   program/hermitcrab     what the host runs
#   desired-state/*.yaml   what the host acts on
#   claims/                what controllers and pipelines share

resource "aws_s3_bucket" "controller" {
  # checkov:skip=CKV_AWS_18: who changed what is in the versions; reads are the host's, once a minute
  # checkov:skip=CKV_AWS_144: everything in it has an origin elsewhere, but for claims, which a controller can do without
  # checkov:skip=CKV_AWS_145: encrypted by S3 itself; a key of one's own adds a way to lose it
  # checkov:skip=CKV2_AWS_61: old versions are few and small, and say who changed what
  # checkov:skip=CKV2_AWS_62: the host asks, nobody is told
  # Unique among everybody's buckets, and short enough for the longest name of a cluster.
  bucket = "${var.cluster}-${substr(sha256("${var.account}/${var.region}"), 0, 12)}"

  # Goes with the cluster's ground, whatever lies in it.
  force_destroy = true
}

resource "aws_s3_bucket_versioning" "controller" {
  bucket = aws_s3_bucket.controller.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "controller" {
  bucket = aws_s3_bucket.controller.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_iam_policy_document" "controller_bucket" {
  statement {
    sid       = "EncryptedConnectionsAlone"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.controller.arn, "${aws_s3_bucket.controller.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "controller" {
  bucket = aws_s3_bucket.controller.id
  policy = data.aws_iam_policy_document.controller_bucket.json
}

# What controllers and rehearsals share.

data "aws_iam_policy_document" "claims" {
  statement {
    sid       = "KeepClaims"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = ["${aws_s3_bucket.controller.arn}/claims/*"]
  }

  # Of the whole bucket: for whoever may not list it, S3 says of what is not there that it is forbidden.
  statement {
    sid       = "TellWhatIsMissing"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.controller.arn]
  }
}

# The way to S3 from the private subnets. Free, and to nothing but this bucket, Amazon Linux's packages and the SSM agent's.

data "aws_iam_policy_document" "s3_endpoint" {
  # checkov:skip=CKV_AWS_111: what is written goes to the account's own bucket
  # checkov:skip=CKV_AWS_356: the resources are named; it is principals that are not
  statement {
    sid       = "TheBucket"
    actions   = ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject"]
    resources = [aws_s3_bucket.controller.arn, "${aws_s3_bucket.controller.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalAccount"
      values   = [var.account]
    }
  }

  # https://docs.aws.amazon.com/linux/al2023/ug/managing-repos-os-updates.html
  # https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-minimum-s3-permissions.html
  statement {
    sid     = "Packages"
    actions = ["s3:GetObject"]
    resources = [
      "arn:aws:s3:::al2023-repos-${var.region}-de612dc2/*",
      "arn:aws:s3:::amazon-ssm-${var.region}/*",
      "arn:aws:s3:::amazon-ssm-packages-${var.region}/*",
    ]

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.member.id]
  policy            = data.aws_iam_policy_document.s3_endpoint.json

  tags = { Name = "${var.cluster}-s3" }
}
