# What `hermitcrab init --from-terraform` makes a desired-state file of (its names are a contract), and what a person needs.

output "cluster" {
  description = "The cluster's name."
  value       = var.cluster
}

output "account" {
  description = "The AWS account."
  value       = var.account
}

output "region" {
  description = "The AWS region."
  value       = var.region
}

output "application" {
  description = "The kind of application."
  value       = var.application
}

output "datacenter" {
  description = "The datacenter of Consul, or null."
  value       = var.application == "consul" ? var.datacenter : null
}

output "slots" {
  description = "Each slot's zone, its subnet there with the subnet's block, and its fixed address, or null."
  value = {
    for number, zone in local.slot_zones : "${coalesce(var.slot_prefix, var.application)}-${number + 1}" => {
      zone    = zone
      subnet  = aws_subnet.member[zone].id
      cidr    = local.subnets[zone]
      address = local.slot_addresses[number]
    }
  }
}

output "member_security_groups" {
  description = "The security groups of members."
  value       = [aws_security_group.member.id]
}

output "member_instance_profile" {
  description = "The name of the members' instance profile, and of its role."
  value       = aws_iam_instance_profile.member.name
}

output "kms_key" {
  description = "The ARN of the key that volumes are encrypted with, or null for the account's aws/ebs."
  value       = one(aws_kms_key.volumes[*].arn)
}

output "auto_scaling_group" {
  description = "The name of the Auto Scaling group to adopt, or null."
  value       = one(aws_autoscaling_group.members[*].name)
}

output "controller_role" {
  description = "The ARN of the controller's role."
  value       = aws_iam_role.controller.arn
}

# What `init` does not read.

output "controller_instance_profile" {
  description = "The name of the instance profile for an instance that runs the controller."
  value       = aws_iam_instance_profile.controller.name
}

output "controller_security_group" {
  description = "The security group for whatever runs the controller: it reaches the members' interface."
  value       = aws_security_group.controller.id
}

output "controller_policy" {
  description = "What the controller may do; compare it with what `hermitcrab iam-policy` prints for your file."
  value       = local.policies.controller
}

output "rehearsal_role" {
  description = "The ARN of the role for whoever rehearses."
  value       = aws_iam_role.rehearsal.arn
}

output "rehearsal_policy" {
  description = "What rehearsals may do; compare it with what `hermitcrab iam-policy --rehearse` prints for your file."
  value       = local.policies.rehearsal
}

output "bucket" {
  description = "The bucket that the controller's host takes the program and the desired state from."
  value       = aws_s3_bucket.controller.id
}

output "claims" {
  description = "Where controllers, rehearsals and pipelines of this cluster keep their claims: the value of --claims, and of HERMITCRAB_CLAIMS."
  value       = "s3://${aws_s3_bucket.controller.id}/claims"
}

output "controller_host" {
  description = "The instance that runs the controller, or null."
  value       = one(aws_instance.controller[*].id)
}

output "vpc" {
  description = "The VPC."
  value       = aws_vpc.this.id
}
