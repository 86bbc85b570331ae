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

variable "application" {
  description = "The kind of application: consul, etcd, patroni (PostgreSQL), zookeeper, or command for one that a program of yours speaks to. It says which ports are open between whom."
  type        = string
  default     = "consul"

  validation {
    condition     = contains(["consul", "etcd", "patroni", "zookeeper", "command"], var.application)
    error_message = "consul, etcd, patroni, zookeeper or command."
  }
}

variable "command_ports" {
  description = "For the kind command, the ports by name at which members reach each other, and at which the controller's program and clients reach members."
  type = object({
    members    = map(object({ protocol = string, port = number }))
    controller = map(object({ protocol = string, port = number }))
    clients    = optional(map(object({ protocol = string, port = number })), {})
  })
  default = { members = {}, controller = {} }

  validation {
    condition     = (var.application == "command") == (length(var.command_ports.controller) > 0)
    error_message = "The ports of an application that a program speaks to are named here, at least the controller's; those of the other kinds are known."
  }
}

variable "store_security_groups" {
  description = "Security groups of the etcd in which Patroni keeps who leads. Its members are reached at port 2379."
  type        = set(string)
  default     = []

  validation {
    condition     = var.application == "patroni" || length(var.store_security_groups) == 0
    error_message = "Only Patroni stands on another cluster."
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
  description = "What slots, and so members, are called before their number: consul-1, consul-2 and so on. Left out, it is the kind of application."
  type        = string
  default     = null
}

variable "datacenter" {
  description = "The datacenter of Consul; nothing to other kinds."
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

variable "fixed_addresses" {
  description = "Whether each slot has a private address of its own, which moves to each new instance along with the volumes. Left out, it has, unless `auto_scaling_group` is set: what a group launches by itself can have none."
  type        = bool
  default     = null

  validation {
    condition     = var.auto_scaling_group == null || var.fixed_addresses != true
    error_message = "Slots of an Auto Scaling group have no fixed addresses: leave out one of the two."
  }
}

variable "nat_gateway" {
  description = "Whether the private subnets reach the internet, through a NAT gateway in the first zone. Members need none; a controller that pulls from a git host does."
  type        = bool
  default     = false
}

variable "client_security_groups" {
  description = "Security groups of whatever uses the cluster: runs a Consul agent or asks Consul for names, keeps its data in etcd, asks PostgreSQL."
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
  description = "Whether to make a KMS key for volumes. It becomes the account's default key for EBS, for every new volume of the account in this region, root volumes among them."
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

variable "controller_host" {
  description = "Whether to make a small instance that runs the controller."
  type        = bool
  default     = true
}

variable "controller_instance_type" {
  description = "The type of that instance, an x86-64 one unless `controller_image` is for another processor."
  type        = string
  default     = "t3.micro"
}

variable "controller_image" {
  description = "The image of that instance: one with systemd, the AWS CLI and the SSM agent. Left out, the newest Amazon Linux 2023."
  type        = string
  default     = null
}

variable "controller_options" {
  description = "Further options of `hermitcrab run` on that instance. With --observe it plans, reports, and never acts."
  type        = string
  default     = "--observe"
}

variable "controller_trust" {
  description = "ARNs of roles that may take on the controller's role, beside the instances that have it as their profile."
  type        = list(string)
  default     = []
}

variable "controller_pod_identity" {
  description = "Whether pods of EKS may have the controller's role by a Pod Identity association."
  type        = bool
  default     = false
}

variable "rehearsal_trust" {
  description = "ARNs of roles that may take on the rehearsals' role, beside the controller's."
  type        = list(string)
  default     = []
}

variable "oidc_trust" {
  description = "Who may take on a role (controller or rehearsal) with a token of an OIDC issuer, named without https://. Subjects may have wildcards: repo:example/infra:* for GitHub, system:serviceaccount:hermitcrab:hermitcrab for EKS."
  type = list(object({
    role     = string
    issuer   = string
    subjects = list(string)
    audience = optional(string, "sts.amazonaws.com")
  }))
  default = []

  validation {
    condition     = alltrue([for trust in var.oidc_trust : contains(["controller", "rehearsal"], trust.role)])
    error_message = "The role is controller or rehearsal."
  }

  validation {
    condition     = alltrue([for trust in var.oidc_trust : can(regex("^[a-z0-9.-]+[.][a-z]+(/[A-Za-z0-9._/-]+)?$", trust.issuer))])
    error_message = "An issuer such as token.actions.githubusercontent.com or oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE, without https://."
  }

  # Everybody's jobs have tokens of the same issuer: a subject says whose.
  validation {
    condition     = alltrue(flatten([for trust in var.oidc_trust : concat([length(trust.subjects) > 0], [for subject in trust.subjects : can(regex("^[^*?:]+:[^*?:]*[^*?:/]", subject))])]))
    error_message = "Name at least one subject, with more than its kind written out: repo:example/infra:*, never * or repo:*."
  }
}

variable "oidc_providers" {
  description = "Those of the issuers whose provider the account does not have yet, such as token.actions.githubusercontent.com. They are made here."
  type        = set(string)
  default     = []
}

variable "controller_policy_file" {
  description = "What `hermitcrab iam-policy` printed for your files. Left out, it is what the command prints for a cluster like infra/example.yaml in this account and region."
  type        = string
  default     = null
}

variable "rehearsal_policy_file" {
  description = "What `hermitcrab iam-policy --rehearse` printed for your files. Left out, it is what the command prints for such a cluster."
  type        = string
  default     = null
}

variable "endpoint_zones" {
  description = "The zones that have the interface endpoints, each of which costs. Left out, all of them: a zone without one depends on another zone."
  type        = list(string)
  default     = null

  validation {
    condition     = var.endpoint_zones == null ? true : length(var.endpoint_zones) > 0 && length(setsubtract(var.endpoint_zones, var.zones)) == 0
    error_message = "One or more of `zones`."
  }
}

variable "flow_logs" {
  description = "Whether to log who talked to whom in the VPC."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "How long flow logs are kept."
  type        = number
  default     = 365
}
