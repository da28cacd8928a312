# Crossfade behind a listener of an existing Application Load Balancer. The README of the module has the commands.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81"
    }
  }
}

variable "listener_arn" {
  type        = string
  description = "EC2 console, Load balancers, Listeners; or `aws elbv2 describe-listeners`"
}

variable "backend" {
  type        = string
  default     = null
  description = "All requests go to this back end, such as https://legacy.example.com. Leave it out if the package has a configuration."
}

provider "aws" {
  # That of the listener.
  region = split(":", var.listener_arn)[3]
}

module "crossfade" {
  # Or a copy of the folder.
  source = "../.."

  listener_arn = var.listener_arn
  backend      = var.backend
  # Created by `crossfade package --output bootstrap.zip`.
  package_path = "${path.root}/bootstrap.zip"

  # The listener uses the first rule, by priority, whose conditions all hold. Values of one condition are alternatives.
  rules = [
    # Start here: only read requests of one area pass through the proxy.
    { priority = 110, path = ["/api/orders/*"], method = ["GET", "HEAD"] },
    # Testers who send a field.
    { priority = 120, header = [{ name = "x-crossfade", values = ["on", "preview-*"] }] },
    # Testers who type `?crossfade=on`.
    { priority = 130, query = [{ key = "crossfade", value = "on" }] },
    # The office, on one host.
    { priority = 140, host = ["shop.example.com"], ip = ["192.0.2.0/24", "2001:db8::/32"] },
  ]
}

output "live_place" {
  description = "For `crossfade status --live`"
  value       = module.crossfade.live_place
}

output "log_group_name" {
  description = "For `aws logs tail`"
  value       = module.crossfade.log_group_name
}
