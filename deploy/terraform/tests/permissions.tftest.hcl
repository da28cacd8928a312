# Permissions of the function for each feature, and what the module rejects. Runs without AWS: `terraform test` in the folder of
# the module.

mock_provider "aws" {
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/crossfade" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/crossfade/0123456789abcdef" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:crossfade" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/crossfade" }
  }
  mock_resource "aws_appconfig_application" {
    defaults = { id = "app" }
  }
  mock_resource "aws_appconfig_environment" {
    defaults = { environment_id = "env" }
  }
  mock_resource "aws_appconfig_configuration_profile" {
    defaults = { configuration_profile_id = "profile" }
  }
  override_resource {
    target = aws_s3_bucket.live
    values = { arn = "arn:aws:s3:::live", bucket = "live" }
  }
  override_resource {
    target = aws_s3_bucket.spill
    values = { arn = "arn:aws:s3:::spill", bucket = "spill" }
  }
}

variables {
  listener_arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/front/50dc6c495c0c9188/f2f7dc8efc522ab2"
  # Any file.
  package_path = "versions.tf"
  rules        = [{ priority = 110, path = ["/api/*"] }]
}

run "the_log_and_nothing_else" {
  assert {
    condition = output.permissions == tolist([
      "logs:CreateLogStream arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/crossfade:*",
      "logs:PutLogEvents arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/crossfade:*",
    ])
    error_message = jsonencode(output.permissions)
  }
  assert {
    condition     = aws_lambda_permission.listener.source_arn == aws_lb_target_group.proxy.arn
    error_message = "The permission is not for this target group alone."
  }
  assert {
    condition = alltrue([
      aws_lambda_function.proxy.reserved_concurrent_executions == 50,
      aws_lambda_function.proxy.tracing_config[0].mode == "PassThrough",
      aws_lb_target_group.proxy.lambda_multi_value_headers_enabled,
    ])
    error_message = "A default has changed."
  }
}

run "live_state_in_a_bucket" {
  variables {
    live        = "s3"
    live_people = true
  }
  assert {
    condition = slice(output.permissions, 2, length(output.permissions)) == tolist([
      "s3:GetObject arn:aws:s3:::live/live.json",
      "s3:ListBucket arn:aws:s3:::live if {\"StringEquals\":{\"s3:prefix\":\"live.json\"}}",
    ])
    error_message = jsonencode(output.permissions)
  }
  assert {
    condition     = output.live_place == "s3://live/live.json" && aws_lambda_function.proxy.environment[0].variables.CROSSFADE_LIVE == output.live_place
    error_message = "The function has another place."
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_policy.people["abort"].policy).Statement : join(" ", concat(statement.Action, statement.Resource))] == [
      "s3:PutObject arn:aws:s3:::live/live.json",
    ]
    error_message = aws_iam_policy.people["abort"].policy
  }
}

run "an_alarm_and_a_schedule_write" {
  variables {
    live          = "s3"
    live_alarm    = true
    live_schedule = true
  }
  assert {
    condition = setsubtract(output.permissions, run.live_state_in_a_bucket.permissions) == toset([
      "logs:FilterLogEvents arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/crossfade:*",
      "s3:PutObject arn:aws:s3:::live/live.json",
    ])
    error_message = jsonencode(output.permissions)
  }
  assert {
    condition     = aws_lambda_permission.stop[0].source_arn == aws_cloudwatch_event_rule.stop[0].arn
    error_message = "Other rules than that of the alarm may invoke the function."
  }
}

run "live_state_in_a_parameter" {
  variables {
    live       = "ssm"
    live_alarm = true
  }
  assert {
    condition = slice(output.permissions, 2, length(output.permissions)) == tolist([
      "ssm:DeleteParameter arn:aws:ssm:eu-west-1:123456789012:parameter/crossfade/live.claim-*",
      "ssm:GetParameter arn:aws:ssm:eu-west-1:123456789012:parameter/crossfade/live",
      "ssm:GetParameter arn:aws:ssm:eu-west-1:123456789012:parameter/crossfade/live.claim-*",
      "ssm:PutParameter arn:aws:ssm:eu-west-1:123456789012:parameter/crossfade/live",
      "ssm:PutParameter arn:aws:ssm:eu-west-1:123456789012:parameter/crossfade/live.claim-*",
    ])
    error_message = jsonencode(output.permissions)
  }
}

run "live_state_in_appconfig" {
  variables {
    live                = "appconfig"
    appconfig_layer_arn = "arn:aws:lambda:eu-west-1:123456789012:layer:AWS-AppConfig-Extension:1"
  }
  assert {
    condition = output.permissions == sort(concat(
      run.the_log_and_nothing_else.permissions,
      [for action in ["StartConfigurationSession", "GetLatestConfiguration"] :
        "appconfig:${action} arn:aws:appconfig:eu-west-1:123456789012:application/app/environment/env/configuration/profile"
      ],
    ))
    error_message = jsonencode(output.permissions)
  }
  assert {
    condition     = output.live_place == "appconfig:app/env/profile"
    error_message = output.live_place
  }
}

run "large_responses_and_tracing" {
  variables {
    spill   = true
    tracing = "Active"
  }
  assert {
    condition = setsubtract(output.permissions, run.the_log_and_nothing_else.permissions) == toset([
      "s3:AbortMultipartUpload arn:aws:s3:::spill/responses/*",
      "s3:GetObject arn:aws:s3:::spill/responses/*",
      "s3:PutObject arn:aws:s3:::spill/responses/*",
      "xray:PutTelemetryRecords *",
      "xray:PutTraceSegments *",
    ])
    error_message = jsonencode(output.permissions)
  }
  assert {
    condition     = aws_lambda_function.proxy.environment[0].variables.SPILL_BUCKET == "spill"
    error_message = "The function does not know its bucket."
  }
}

run "network_interfaces_in_a_vpc" {
  variables {
    vpc = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-1"] }
  }
  assert {
    condition = setsubtract(output.permissions, run.the_log_and_nothing_else.permissions) == toset([
      "ec2:AssignPrivateIpAddresses *",
      "ec2:CreateNetworkInterface *",
      "ec2:DeleteNetworkInterface *",
      "ec2:DescribeNetworkInterfaces *",
      "ec2:DescribeSubnets *",
      "ec2:UnassignPrivateIpAddresses *",
    ])
    error_message = jsonencode(output.permissions)
  }
}

run "more_than_five_values" {
  command = plan
  variables {
    rules = [{ priority = 1, path = ["/a", "/b", "/c"], header = [{ name = "x", values = ["1", "2", "3"] }] }]
  }
  expect_failures = [var.rules]
}

run "a_priority_twice" {
  command = plan
  variables {
    rules = [{ priority = 1, path = ["/a"] }, { priority = 1, path = ["/b"] }]
  }
  expect_failures = [var.rules]
}

run "each_of_these_is_rejected" {
  command = plan
  variables {
    name                 = "Crossfade"
    listener_arn         = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/front/50dc6c495c0c9188"
    package_path         = "no-such-file.zip"
    rules                = [{ priority = 1 }]
    backend              = "legacy.example.com"
    architecture         = "arm"
    reserved_concurrency = 0
    tracing              = "Off"
    live                 = "appconfig"
    live_alarm           = true
    live_schedule        = true
  }
  expect_failures = [
    var.name, var.listener_arn, var.package_path, var.rules, var.backend, var.architecture, var.reserved_concurrency, var.tracing,
    var.appconfig_layer_arn, var.live_alarm, var.live_schedule,
  ]
}

run "no_package" {
  command = plan
  variables {
    package_path = null
    live_people  = true
  }
  expect_failures = [var.package_path, var.live_people]
}
