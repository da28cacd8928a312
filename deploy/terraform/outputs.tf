# What commands and other configurations need to know.

output "function_name" {
  description = "For `aws lambda` and `aws logs tail /aws/lambda/NAME`."
  value       = aws_lambda_function.proxy.function_name
}

output "function_arn" {
  description = "ARN of the function."
  value       = aws_lambda_function.proxy.arn
}

output "role_name" {
  description = "Role of the function, to attach further policies."
  value       = aws_iam_role.proxy.name
}

output "log_group_name" {
  description = "For `crossfade promote --log-group` and `crossfade status`."
  value       = aws_cloudwatch_log_group.proxy.name
}

output "target_group_arn" {
  description = "Target group of the function, for rules of your own."
  value       = aws_lb_target_group.proxy.arn
}

output "live_place" {
  description = "Place of the live state, for `crossfade status --live`."
  value       = local.live_place
}

output "live_policy_arns" {
  description = "With `live_people`: policies for people and pipelines, by what they allow."
  value       = { for name, policy in aws_iam_policy.people : name => policy.arn }
}

output "spill_bucket" {
  description = "With `spill`: name of the bucket for large responses."
  value       = one(aws_s3_bucket.spill[*].bucket)
}

output "permissions" {
  description = "All that the function may do in AWS: action and resource."
  value = sort(flatten([
    for policy in local.permissions : [
      for statement in jsondecode(policy) : [
        for pair in setproduct(statement.Action, statement.Resource) :
        "${pair[0]} ${pair[1]}${can(statement.Condition) ? " if ${jsonencode(statement.Condition)}" : ""}"
      ]
    ]
  ]))
}
