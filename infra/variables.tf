# What is asked of whoever applies this, in the order in which it matters.

variable "cluster" {
  description = "The cluster's name, as metadata.name in its desired-state file."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", var.cluster))
    error_message = "A cluster's name is lower-case letters, digits and '-', with a letter or digit at both ends; here at most 40, because roles are named after it."
  }
}

variable "account" {
  description = "The AWS account. With the credentials of another one nothing is done."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "An account is twelve digits, in quotes."
  }
}

variable "region" {
  description = "The AWS region."
  type        = string
}

variable "zones" {
  description = "Three zones of the region, written out: volumes never leave their zone, so a list that AWS may reorder will not do."
  type        = list(string)

  validation {
    condition     = length(distinct(var.zones)) == 3 && length(var.zones) == 3
    error_message = "Name three different zones, so that the loss of one leaves a majority."
  }

  validation {
    condition     = alltrue([for zone in var.zones : startswith(zone, var.region)])
    error_message = "Every zone lies in the region, as us-east-1a does in us-east-1."
  }
}

variable "slot_count" {
  description = "How many members the cluster has; they are spread over the zones in turn."
  type        = number
  default     = 3

  validation {
    condition     = contains([3, 5, 7, 9], var.slot_count)
    error_message = "3, 5, 7 or 9: an even number tolerates no more failures than one less."
  }
}

variable "slot_prefix" {
  description = "What slots, and so members, are called before their number: consul-1, consul-2 and so on."
  type        = string
  default     = "consul"
}

variable "datacenter" {
  description = "The Consul datacenter."
  type        = string
  default     = "dc1"
}

variable "vpc_cidr" {
  description = "The addresses of the VPC, a /16 to /24."
  type        = string
  default     = "10.64.0.0/16"

  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 4, 15))
    error_message = "A network such as 10.64.0.0/16."
  }
}

variable "nat_gateway" {
  description = "Whether the private subnets reach the internet, through a NAT gateway in the first zone. Members need none; a controller that pulls from a git host does."
  type        = bool
  default     = false
}

variable "client_security_groups" {
  description = "Security groups of whatever runs a Consul agent or asks Consul for names."
  type        = set(string)
  default     = []
}

variable "secret_parameters" {
  description = "Paths of SSM parameters that members may read, such as /consul-prod/gossip-key or /consul-prod/tls/*."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for path in var.secret_parameters : can(regex("^/[A-Za-z0-9_.*/-]+$", path)) && path != "/*"])
    error_message = "A path begins with '/' and is not all there is."
  }
}

variable "secret_key" {
  description = "The ARN of the KMS key that those parameters are encrypted with, unless it is the account's own aws/ssm."
  type        = string
  default     = null
}

variable "volume_key" {
  description = "Whether to make a KMS key for volumes. hermitcrab makes volumes with the account's default key, so this key becomes that, for every new volume of the account in this region."
  type        = bool
  default     = false
}

variable "auto_scaling_group" {
  description = "Makes an empty Auto Scaling group for the cluster to adopt. Image and type are those of the desired-state file; later on hermitcrab keeps the group's launch template like it."
  type = object({
    image         = string
    instance_type = string
  })
  default = null
}

variable "controller_trust" {
  description = "ARNs of roles that may take on the controller's role, beside the instances that have it as their profile."
  type        = list(string)
  default     = []
}

variable "controller_policy_file" {
  description = "What `hermitcrab iam-policy` printed for your files. Left out, it is what the command prints for a cluster like infra/example.yaml in this account and region."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "How long flow logs are kept."
  type        = number
  default     = 365
}
