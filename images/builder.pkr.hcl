# What every image's builder is told: where it runs, what it starts from, and who may reach it.

variable "architecture" {
  type        = string
  default     = "amd64"
  description = "Of the image: amd64 or arm64."
}

variable "region" {
  type        = string
  default     = "us-east-1"
  description = "Where the image is built, and is."
}

variable "source_ami" {
  type        = string
  default     = ""
  description = "The image to start from. Empty: the newest Debian 12 of Debian's own account."
}

variable "source_owner" {
  type        = string
  default     = "136693071363"
  description = "The account whose Debian images are taken. The default is Debian's own."
}

variable "subnet_id" {
  type        = string
  default     = ""
  description = "Where the builder runs. Empty: the default VPC."
}

variable "associate_public_ip_address" {
  type        = bool
  default     = false
  description = "Whether the builder is given a public address, in a subnet of `subnet_id` that does not give one by itself."
}

variable "ssm_agent_version" {
  type        = string
  default     = "latest"
  description = "The release of the SSM agent, such as 3.3.2299.0, by which people look into a member. Empty: none is installed."
}

variable "ssm_agent_sha256" {
  type        = map(string)
  default     = {}
  description = "The checksum of that release's Debian package for each architecture. Left out, it is what the region's own bucket of AWS gives by HTTPS."
}

variable "builder_cidrs" {
  type        = list(string)
  description = "From where the builder may be reached by SSH while it runs, such as [\"203.0.113.4/32\"]."
}

variable "encrypt" {
  type        = bool
  default     = true
  description = "Whether the image's root volume is encrypted, with the account's default key."
}

variable "manifest" {
  type        = string
  default     = "packer-manifest.json"
  description = "The file that says which image was made, for `hermitcrab promote`."
}

variable "ec2_endpoint" {
  type        = string
  default     = ""
  description = "Another endpoint than AWS's own."
}

variable "communicator" {
  type        = string
  default     = "ssh"
  description = "With none, the builder is not reached and nothing is installed: a trial of the template alone."
}

locals {
  built = formatdate("YYYYMMDDhhmmss", timestamp())
  types = { amd64 = "t3.small", arm64 = "t4g.small" }
  # The names that EC2 has for them.
  architectures = { amd64 = "x86_64", arm64 = "arm64" }
}
