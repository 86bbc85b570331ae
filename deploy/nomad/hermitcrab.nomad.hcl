# The controller in Nomad: `nomad job run -var image=… deploy/nomad/hermitcrab.nomad.hcl`
#
# Its desired state comes from git with each start; a job that runs when the repository changes restarts it, or write the
# files with a template. Its AWS credentials are those of the client's instance role.

variable "image" {
  type        = string
  description = "The container image, by digest."
}

variable "desired_state" {
  type        = string
  description = "The repository with the desired state, as go-getter spells it."
  default     = "git::https://git.example.com/platform/desired-state.git"
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
