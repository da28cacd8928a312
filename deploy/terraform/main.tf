# The function with its log group and role. The role may do what an enabled feature needs, and nothing else.

locals {
  # arn:PARTITION:elasticloadbalancing:REGION:ACCOUNT:listener/…
  listener = split(":", var.listener_arn)
  # The beginning of ARNs in the listener's region and account, after the name of a service.
  partition = local.listener[1]
  place     = "${local.listener[3]}:${local.listener[4]}"

  environment = merge(
    var.environment,
    var.backend == null ? {} : { CROSSFADE_BACKEND = var.backend },
    local.live_environment,
    local.spill_environment,
  )

  # Permissions of the function: statements by the name of their policy.
  permissions = merge(
    {
      log = jsonencode([{
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.proxy.arn}:*"]
      }])
    },
    var.tracing == "Active" ? {
      tracing = jsonencode([{
        Effect = "Allow"
        Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
        # IAM has no resources for these actions.
        Resource = ["*"]
      }])
    } : {},
    # AWSLambdaVPCAccessExecutionRole without its permissions for all logs of the account.
    var.vpc == null ? {} : {
      network = jsonencode([{
        Effect = "Allow"
        Action = [
          "ec2:AssignPrivateIpAddresses",
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
          "ec2:UnassignPrivateIpAddresses",
        ]
        # Lambda names the interfaces, and they do not exist yet.
        Resource = ["*"]
      }])
    },
    local.live_permissions,
    local.spill_permissions,
  )
}

resource "aws_cloudwatch_log_group" "proxy" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_in_days
}

resource "aws_iam_role" "proxy" {
  name_prefix = "${var.name}-"
  description = "Crossfade, the reverse proxy of this migration"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "proxy" {
  for_each = local.permissions

  name   = each.key
  role   = aws_iam_role.proxy.name
  policy = "{\"Version\":\"2012-10-17\",\"Statement\":${each.value}}"
}

resource "aws_lambda_function" "proxy" {
  function_name = var.name
  description   = "Crossfade, the reverse proxy of this migration"
  role          = aws_iam_role.proxy.arn

  filename          = var.package_path
  source_code_hash  = var.package_path == null ? null : filebase64sha256(var.package_path)
  s3_bucket         = try(var.package_s3.bucket, null)
  s3_key            = try(var.package_s3.key, null)
  s3_object_version = try(var.package_s3.version, null)

  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  memory_size                    = var.memory_size
  timeout                        = var.timeout
  reserved_concurrent_executions = var.reserved_concurrency
  layers                         = var.live == "appconfig" ? [var.appconfig_layer_arn] : []

  environment {
    variables = local.environment
  }

  tracing_config {
    mode = var.tracing
  }

  dynamic "vpc_config" {
    for_each = var.vpc[*]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  # Lambda checks that the role may create network interfaces and send traces, and would create a log group that is kept for ever.
  depends_on = [aws_cloudwatch_log_group.proxy, aws_iam_role_policy.proxy]
}
