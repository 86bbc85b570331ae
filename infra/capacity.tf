# An Auto Scaling group to adopt, if one is wanted. It begins empty: the controller launches, and what it launches joins.

resource "aws_launch_template" "members" {
  # checkov:skip=CKV_AWS_341: as hermitcrab launches; members that run in a container on a bridge need the second hop
  count = var.auto_scaling_group == null ? 0 : 1

  name          = "${var.cluster}-members"
  description   = "Members of ${var.cluster}; hermitcrab makes its later versions"
  image_id      = var.auto_scaling_group.image
  instance_type = var.auto_scaling_group.instance_type

  vpc_security_group_ids = [aws_security_group.member.id]

  # The controller's policy lets it make versions of templates that bear its tag, and of no others.
  tags = { "hermitcrab:owner" = "hermitcrab" }

  iam_instance_profile {
    name = aws_iam_instance_profile.member.name
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
    instance_metadata_tags      = "enabled"
  }

  lifecycle {
    ignore_changes = all
  }
}

resource "aws_autoscaling_group" "members" {
  count = var.auto_scaling_group == null ? 0 : 1

  name                = var.cluster
  vpc_zone_identifier = values(aws_subnet.member)[*].id
  min_size            = 0
  desired_capacity    = 0
  # One more than there are slots: the replacement joins before the old instance leaves.
  max_size          = var.slot_count + 1
  health_check_type = "EC2"

  launch_template {
    id      = aws_launch_template.members[0].id
    version = aws_launch_template.members[0].latest_version
  }

  # Not propagated: it would overwrite the names that members have from their slots.
  tag {
    key                 = "Name"
    value               = var.cluster
    propagate_at_launch = false
  }

  # These are hermitcrab's once it has adopted the group, `hermitcrab:resume` among the tags.
  lifecycle {
    ignore_changes = [desired_capacity, launch_template, suspended_processes, tag]
  }
}
