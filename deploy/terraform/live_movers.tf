# Who else may move users, besides the commands: an alarm that takes all users back, a schedule, and policies for people.

locals {
  alarm_name = "${var.name}-${var.live_alarm_backend}-errors"
  # Requests that the new system had to respond to, and those that it failed. `target` is there if failover replaced its response.
  live_alarm_patterns = {
    requests = "($.backend = \"${var.live_alarm_backend}\" || $.target = \"${var.live_alarm_backend}\")"
    errors   = "(($.backend = \"${var.live_alarm_backend}\" && $.status >= 500) || $.target = \"${var.live_alarm_backend}\")"
  }

  appconfig_application = one([for id in local.appconfig : "${local.appconfig_arn}:application/${id.application}"])
  appconfig_profile     = one([for id in local.appconfig : "${local.appconfig_application}/configurationprofile/${id.profile}"])
  appconfig_environment = one([for id in local.appconfig : "${local.appconfig_application}/environment/${id.environment}"])

  appconfig_abort = [
    {
      Effect   = "Allow"
      Action   = ["appconfig:CreateHostedConfigurationVersion"]
      Resource = [local.appconfig_application, local.appconfig_profile]
    },
    # At once: in a gradual deployment, environments would decide by different weights, and users would change back and forth.
    {
      Effect = "Allow"
      Action = ["appconfig:StartDeployment"]
      Resource = [
        local.appconfig_application, local.appconfig_profile, local.appconfig_environment,
        "${local.appconfig_arn}:deploymentstrategy/AppConfig.AllAtOnce",
      ]
    },
    # The deployment before, which watches alarms for ten minutes, is stopped. A version that cannot be deployed is deleted.
    {
      Effect = "Allow"
      Action = ["appconfig:ListDeployments", "appconfig:StopDeployment"]
      Resource = [
        local.appconfig_application, local.appconfig_environment, "${coalesce(local.appconfig_environment, "none")}/deployment/*",
      ]
    },
    {
      Effect   = "Allow"
      Action   = ["appconfig:DeleteHostedConfigurationVersion"]
      Resource = local.appconfig_versions
    },
  ]
  appconfig_versions = [
    local.appconfig_application, local.appconfig_profile, "${coalesce(local.appconfig_profile, "none")}/hostedconfigurationversion/*",
  ]

  # Whoever has `abort` can take all users back, and nothing else.
  people = {
    none = {}
    s3 = {
      operate = jsonencode([
        { Effect = "Allow", Action = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], Resource = [local.live_arn] },
        {
          Effect    = "Allow"
          Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
          Resource  = aws_s3_bucket.live[*].arn
          Condition = { StringEquals = { "s3:prefix" = local.live_key } }
        },
      ])
      abort    = local.live_write.s3
      evidence = local.live_evidence
    }
    ssm = {
      operate = jsonencode([
        {
          Effect   = "Allow"
          Action   = ["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:PutParameter"]
          Resource = [local.ssm_arn]
        },
        {
          Effect   = "Allow"
          Action   = ["ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameter"]
          Resource = [local.claims_arn]
        },
      ])
      abort    = jsonencode([{ Effect = "Allow", Action = ["ssm:PutParameter"], Resource = [local.ssm_arn] }])
      evidence = local.live_evidence
    }
    appconfig = {
      operate = jsonencode(concat(local.appconfig_abort, [{
        Effect   = "Allow"
        Action   = ["appconfig:ListHostedConfigurationVersions", "appconfig:GetHostedConfigurationVersion"]
        Resource = local.appconfig_versions
      }]))
      abort    = jsonencode(local.appconfig_abort)
      evidence = local.live_evidence
    }
  }
}

# The metrics come from the access log, so they count the new system alone.
resource "aws_cloudwatch_log_metric_filter" "live" {
  for_each = var.live_alarm ? local.live_alarm_patterns : {}

  name           = "${local.alarm_name}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.proxy.name
  pattern        = "{ $.type = \"access\" && ${each.value} }"

  metric_transformation {
    namespace = var.name
    name      = "${var.live_alarm_backend}-${each.key}"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "live" {
  count = var.live_alarm ? 1 : 0

  alarm_name          = local.alarm_name
  alarm_description   = "More than 5 % of the responses of ${var.live_alarm_backend} fail: all users go back"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 5
  evaluation_periods  = 1
  # No requests, no alarm.
  treat_missing_data = "notBreaching"

  metric_query {
    id          = "percent"
    label       = "Errors of ${var.live_alarm_backend} in percent"
    expression  = "IF(requests >= 20, 100 * errors / requests, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = aws_cloudwatch_log_metric_filter.live

    content {
      id = metric_query.key

      metric {
        namespace   = var.name
        metric_name = metric_query.value.metric_transformation[0].name
        stat        = "Sum"
        period      = 60
      }
    }
  }
}

resource "aws_cloudwatch_event_rule" "stop" {
  count = var.live_alarm ? 1 : 0

  name_prefix = "${var.name}-stop-"
  description = "Aborts the migration"
  event_pattern = jsonencode({
    source      = ["aws.cloudwatch"]
    detail-type = ["CloudWatch Alarm State Change"]
    resources   = [aws_cloudwatch_metric_alarm.live[0].arn]
    detail      = { state = { value = ["ALARM"] } }
  })
}

resource "aws_cloudwatch_event_target" "stop" {
  count = var.live_alarm ? 1 : 0

  rule = aws_cloudwatch_event_rule.stop[0].name
  arn  = aws_lambda_function.proxy.arn
}

resource "aws_lambda_permission" "stop" {
  count = var.live_alarm ? 1 : 0

  statement_id  = "stop"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.proxy.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.stop[0].arn
}

resource "aws_iam_role" "advance" {
  count = var.live_schedule ? 1 : 0

  name_prefix = "${var.name}-"
  description = "The schedule of this migration"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      # The group of the schedule, on behalf of this account alone.
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.listener[4]
          "aws:SourceArn"     = "arn:${local.partition}:scheduler:${local.place}:schedule-group/default"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "advance" {
  count = var.live_schedule ? 1 : 0

  name = "invoke"
  role = aws_iam_role.advance[0].name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = [aws_lambda_function.proxy.arn] }]
  })
}

resource "aws_scheduler_schedule" "advance" {
  count = var.live_schedule ? 1 : 0

  name_prefix         = "${var.name}-"
  description         = "The next step of the migration"
  schedule_expression = "rate(5 minutes)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.proxy.arn
    role_arn = aws_iam_role.advance[0].arn
    input    = jsonencode({ crossfade = "advance" })

    # The next one comes in five minutes.
    retry_policy {
      maximum_retry_attempts = 0
    }
  }

  depends_on = [aws_iam_role_policy.advance]
}

resource "aws_iam_policy" "people" {
  for_each = var.live_people ? local.people[var.live] : {}

  name_prefix = "${var.name}-${each.key}-"
  description = {
    operate  = "The commands of a live migration, with the log as their evidence"
    evidence = "The log of the function, as the evidence of `crossfade promote --log-group`"
    abort    = "crossfade abort"
  }[each.key]
  policy = "{\"Version\":\"2012-10-17\",\"Statement\":${each.value}}"
}
