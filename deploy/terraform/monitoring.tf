# A dashboard of the log, and alarms, without custom metrics. The folder `monitoring` has the dashboard and the queries of the alarms.

locals {
  # Five minutes of the log that are at least two minutes old, and two of three results.
  query_alarms = {
    FailedResponsesAlarm = { file = "failed-responses", threshold = 5, text = "More than 5 % of the responses failed" }
    BackEndFailingAlarm  = { file = "back-end-failing", threshold = 50, text = "A back end failed more than half of its requests" }
    LostCopiesAlarm      = { file = "lost-copies", threshold = 20, text = "More than 20 % of the shadow requests were lost" }
  }

  # Metrics that Lambda has anyway, by the number of minutes that must be bad.
  metric_alarms = {
    # Their clients got a 502 from the load balancer.
    throttles = { metric = "Throttles", minutes = 2, text = "Lambda rejected invocations because too many were running" }
    # Crossfade responds to failures, so an error of the function is a crash or a timeout.
    function-errors = { metric = "Errors", minutes = 1, text = "Invocations of the function failed" }
  }

  # A file is a comment, a query, and the aggregation that an alarm has apart.
  query_parts = {
    for id, alarm in local.query_alarms : id => split("\n| stats ", trimspace(join("\n", [
      for line in split("\n", file("${path.module}/monitoring/alarms/${alarm.file}.query")) : line if !startswith(line, "#")
    ])))
  }
}

resource "aws_cloudwatch_dashboard" "proxy" {
  count = var.monitoring ? 1 : 0

  dashboard_name = var.name
  dashboard_body = templatefile("${path.module}/monitoring/dashboard.json", {
    LogGroup     = aws_cloudwatch_log_group.proxy.name
    Region       = local.listener[3]
    FunctionName = aws_lambda_function.proxy.function_name
  })
}

resource "aws_cloudwatch_metric_alarm" "monitoring" {
  for_each = var.monitoring ? local.metric_alarms : {}

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = aws_lambda_function.proxy.function_name }
  statistic           = "Sum"
  period              = 60
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 5
  datapoints_to_alarm = each.value.minutes
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

# With it, CloudWatch Logs runs the queries of the alarms.
resource "aws_iam_role" "alarm_query" {
  count = var.monitoring ? 1 : 0

  name_prefix = "${var.name}-"
  description = "The queries of alarms on the log of ${var.name}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "alarm_query" {
  count = var.monitoring ? 1 : 0

  name = "query"
  role = aws_iam_role.alarm_query[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:StartQuery", "logs:GetQueryResults"]
        Resource = ["${aws_cloudwatch_log_group.proxy.arn}:*"]
      },
      # IAM has no resources for these two.
      { Effect = "Allow", Action = ["logs:StopQuery", "logs:DescribeLogGroups"], Resource = ["*"] },
    ]
  })
}

# Provider 6.25 has no resource for alarms on queries, and CloudFormation does.
resource "aws_cloudformation_stack" "log_alarms" {
  count = var.monitoring ? 1 : 0

  name = "${var.name}-log-alarms"
  template_body = jsonencode({
    Description = "Alarms of ${var.name} on queries of its log, managed by Terraform"
    Resources = {
      for id, alarm in local.query_alarms : id => {
        Type = "AWS::CloudWatch::LogAlarm"
        Properties = {
          AlarmName        = "${var.name}-${alarm.file}"
          AlarmDescription = alarm.text
          ScheduledQueryConfiguration = {
            QueryString           = local.query_parts[id][0]
            AggregationExpression = local.query_parts[id][1]
            LogGroupIdentifiers   = [aws_cloudwatch_log_group.proxy.name]
            ScheduledQueryRoleARN = aws_iam_role.alarm_query[0].arn
            ScheduleConfiguration = { ScheduleExpression = "rate(5 minutes)", StartTimeOffset = 420, EndTimeOffset = 120 }
          }
          ComparisonOperator     = "GreaterThanThreshold"
          Threshold              = alarm.threshold
          QueryResultsToEvaluate = 3
          QueryResultsToAlarm    = 2
          TreatMissingData       = "notBreaching"
          AlarmActions           = var.alarm_actions
          OKActions              = var.alarm_actions
        }
      }
    }
  })

  depends_on = [aws_iam_role_policy.alarm_query]
}
