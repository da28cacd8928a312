# The settings of the module, with the names and defaults that all deploy files of Crossfade share.

variable "name" {
  type        = string
  default     = "crossfade"
  description = "Name of the function and of its target group, and the beginning of all other names. Use one name for each stage. It is fixed after the first apply: another name replaces the target group, which AWS does not delete while rules use it."

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,24}[a-z0-9])?$", var.name))
    error_message = "`name` must have at most 26 lower-case letters, digits and hyphens, start with a letter, and not end with a hyphen."
  }
}

variable "listener_arn" {
  type        = string
  description = "ARN of the existing listener that gets the rules."

  validation {
    condition     = can(regex("^arn:[^:]+:elasticloadbalancing:[^:]+:[0-9]+:listener/app/", var.listener_arn))
    error_message = "`listener_arn` must be the ARN of a listener of an Application Load Balancer: arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener/app/…"
  }
}

variable "rules" {
  type = list(object({
    priority = number
    path     = optional(list(string), [])
    method   = optional(list(string), [])
    host     = optional(list(string), [])
    header   = optional(list(object({ name = string, values = list(string) })), [])
    query    = optional(list(object({ key = optional(string), value = string })), [])
    ip       = optional(list(string), [])
  }))
  description = "Requests that go through the proxy. All conditions of a rule must hold; values of one condition are alternatives. Each entry of `header` is a condition of its own."

  validation {
    condition = alltrue([
      for rule in var.rules : contains(range(1, 6), length(concat(
        rule.path, rule.method, rule.host, rule.query, rule.ip, flatten([for header in rule.header : header.values])
      )))
    ])
    error_message = "AWS requires 1 to 5 condition values in each rule. Rules with another number: ${join(", ", [
      for rule in var.rules : rule.priority if !contains(range(1, 6), length(concat(
        rule.path, rule.method, rule.host, rule.query, rule.ip, flatten([for header in rule.header : header.values])
      )))
    ])}. Split them, with a priority for each part."
  }

  validation {
    condition     = alltrue([for rule in var.rules : alltrue([for header in rule.header : length(header.values) > 0])])
    error_message = "Each entry of `header` needs at least one value."
  }

  validation {
    condition = (
      length(distinct(var.rules[*].priority)) == length(var.rules) &&
      alltrue([for rule in var.rules : rule.priority >= 1 && rule.priority <= 50000 && floor(rule.priority) == rule.priority])
    )
    error_message = "Each rule needs a priority of its own, a whole number from 1 to 50000."
  }
}

variable "package_path" {
  type        = string
  default     = null
  description = "The zip file that `crossfade package` wrote. Without it, set `package_s3`."

  validation {
    condition     = (var.package_path == null) != (var.package_s3 == null)
    error_message = "Set either `package_path` or `package_s3`."
  }

  validation {
    condition     = var.package_path == null || fileexists(coalesce(var.package_path, "none"))
    error_message = "The file of `package_path` does not exist. Create it: crossfade package --output FILE"
  }
}

variable "package_s3" {
  type        = object({ bucket = string, key = string, version = optional(string) })
  default     = null
  description = "The zip file in a bucket. Terraform notices a new file by its key or version."
}

variable "backend" {
  type        = string
  default     = null
  description = "All requests go to this back end (CROSSFADE_BACKEND). Leave it out if the package has a configuration: the function does not start with both."

  validation {
    condition     = var.backend == null || can(regex("^https?://", var.backend))
    error_message = "`backend` must be a URL, such as https://legacy.example.com."
  }
}

variable "environment" {
  type        = map(string)
  default     = {}
  description = "Further environment variables: those that crossfade.yaml uses, and settings of Crossfade."
}

variable "architecture" {
  type        = string
  default     = "x86_64"
  description = "Architecture of the package: x86_64 or arm64 (`crossfade package --arch arm64`)."

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "`architecture` must be x86_64 or arm64."
  }
}

variable "memory_size" {
  type        = number
  default     = 128
  description = "Memory of the function in MB. Lambda gives CPU in proportion."

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240
    error_message = "`memory_size` must be from 128 to 10240."
  }
}

variable "timeout" {
  type        = number
  default     = 30
  description = "Longer than any response takes, in seconds. The function responds with 504 shortly before."

  validation {
    condition     = var.timeout >= 1 && var.timeout <= 900
    error_message = "`timeout` must be from 1 to 900 seconds."
  }
}

variable "reserved_concurrency" {
  type        = number
  default     = 50
  description = "Prevents a back end that hangs from using up the concurrency of the account: requests per second x seconds per request, and twice that for a bad hour. -1 reserves nothing, for accounts with a low limit: AWS keeps 100 unreserved."

  validation {
    condition     = var.reserved_concurrency == -1 || var.reserved_concurrency >= 1
    error_message = "`reserved_concurrency` must be at least 1, or -1 for no reservation. With 0 the function would never run."
  }
}

variable "log_retention_in_days" {
  type        = number
  default     = 14
  description = "Days for which CloudWatch Logs keeps the log."
}

variable "vpc" {
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null
  description = "Subnets and security groups of the function, if back ends have private addresses only."
}

variable "tracing" {
  type        = string
  default     = "PassThrough"
  description = "X-Ray: PassThrough (off) or Active."

  validation {
    condition     = contains(["PassThrough", "Active"], var.tracing)
    error_message = "`tracing` must be PassThrough or Active."
  }
}

variable "live" {
  type        = string
  default     = "none"
  description = "Place of the live state, with which a step of the migration needs no deployment: none, s3, ssm or appconfig."

  validation {
    condition     = contains(["none", "s3", "ssm", "appconfig"], var.live)
    error_message = "`live` must be none, s3, ssm or appconfig."
  }
}

variable "appconfig_layer_arn" {
  type        = string
  default     = null
  description = "With `live = \"appconfig\"`: the layer of AppConfig's extension in your region. https://docs.aws.amazon.com/appconfig/latest/userguide/appconfig-integration-lambda-extensions-versions.html"

  validation {
    condition     = (var.live == "appconfig") == (var.appconfig_layer_arn != null)
    error_message = "`live = \"appconfig\"` needs `appconfig_layer_arn`, and no other value of `live` does."
  }
}

variable "live_alarm" {
  type        = bool
  default     = false
  description = "An alarm on the failed responses of `live_alarm_backend` takes all users back. Needs its name in `migration`: `alarms: [NAME-modern-errors]`."

  validation {
    condition     = !var.live_alarm || contains(["s3", "ssm"], var.live)
    error_message = "`live_alarm` needs `live = \"s3\"` or `live = \"ssm\"`. With AppConfig, use the alarms of its environment."
  }
}

variable "live_alarm_backend" {
  type        = string
  default     = "modern"
  description = "Name in crossfade.yaml of the back end that `live_alarm` watches."
}

variable "live_schedule" {
  type        = bool
  default     = false
  description = "Every five minutes the function takes the next step of the migration, or all users back. Needs `schedule: advance` or `schedule: abort` in `migration`."

  validation {
    condition     = !var.live_schedule || contains(["s3", "ssm"], var.live)
    error_message = "`live_schedule` needs `live = \"s3\"` or `live = \"ssm\"`."
  }
}

variable "live_people" {
  type        = bool
  default     = false
  description = "Policies to attach to the roles of people and pipelines: for all commands, for the log as their evidence, and for `crossfade abort` alone."

  validation {
    condition     = !var.live_people || var.live != "none"
    error_message = "`live_people` needs `live`."
  }
}

variable "spill" {
  type        = bool
  default     = false
  description = "A bucket for responses that the load balancer cannot carry: `spill: { bucket: '$${env:SPILL_BUCKET}' }` in crossfade.yaml."
}

variable "monitoring" {
  type        = bool
  default     = false
  description = "A dashboard of the log, and alarms."
}

variable "alarm_actions" {
  type        = list(string)
  default     = []
  description = "With `monitoring`: ARNs of SNS topics that the alarms notify."
}
