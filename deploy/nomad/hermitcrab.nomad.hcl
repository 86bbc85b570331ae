# The controller in Nomad: `nomad job run -var image=… -var revision=… deploy/nomad/hermitcrab.nomad.hcl`
#
# Its desired state is one commit of a repository: a pipeline that runs when the repository changes runs the job again with
# the next commit. The token for the claims is a variable of Nomad's: `nomad var put nomad/jobs/hermitcrab
# claims_token=@FILE`. Its AWS credentials are those of the client's instance role.
#
# The client wants git for the artifact. Behind Docker's bridge the task is one hop further from the instance's metadata: the client's
# own instance wants a hop limit of 2 (`aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2`).

variable "image" {
  type        = string
  description = "The container image, by digest."

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image is named by its digest: a tag may be moved."
  }
}

variable "desired_state" {
  type        = string
  description = "The repository with the desired state, as go-getter spells it."
  default     = "git::https://git.example.com/platform/desired-state.git"
}

variable "revision" {
  type        = string
  description = "The reviewed commit of that repository: a branch would be read anew with each start."

  validation {
    condition     = can(regex("^[0-9a-f]{40}$", var.revision))
    error_message = "The revision is a whole commit id."
  }
}

variable "claims" {
  type        = string
  description = "Where the claims are kept: not on the client, which the next allocation may not run on."
  default     = "consul+https://consul.example.com:8501/hermitcrab"
}

job "hermitcrab" {
  type = "service"

  group "controller" {
    # Two are safe, and do the same work twice.
    count = 1

    # However often it ends, it is started again: half-done work is read off the world.
    restart {
      mode     = "delay"
      attempts = 5
      interval = "1m"
      delay    = "10s"
    }

    task "hermitcrab" {
      driver = "docker"
      user   = "65532:65532"

      # SIGTERM finishes the call in flight.
      kill_signal  = "SIGTERM"
      kill_timeout = "90s"

      artifact {
        source      = var.desired_state
        destination = "local/desired-state"

        options {
          ref = var.revision
        }
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/hermitcrab\" }}{{ .claims_token }}{{ end }}"
        destination = "secrets/claims-token"
        perms       = "0400"
        uid         = 65532
        gid         = 65532
      }

      config {
        image           = var.image
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        args = [
          "run", "/local/desired-state/prod",
          "--log-format", "json",
          "--claims", var.claims,
          "--claims-token-file", "/secrets/claims-token",
          # Plans, reports, and never acts. Take it out to have it act.
          "--observe",
        ]
      }

      resources {
        cpu    = 100
        memory = 256
      }
    }
  }
}
