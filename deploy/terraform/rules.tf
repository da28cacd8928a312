# The rules of the listener, and the target group that has the function.

resource "aws_lb_target_group" "proxy" {
  name                               = var.name
  target_type                        = "lambda"
  lambda_multi_value_headers_enabled = true

  # The function responds itself, without contacting a back end. Each check is an invocation: one every 30 seconds makes about
  # 90,000 per month, or 0.02 USD.
  health_check {
    enabled             = true
    path                = "/"
    interval            = 30
    timeout             = 10
    healthy_threshold   = 2
    unhealthy_threshold = 2
    matcher             = "200"
  }
}

resource "aws_lambda_permission" "listener" {
  statement_id  = "listener"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.proxy.function_name
  principal     = "elasticloadbalancing.amazonaws.com"
  source_arn    = aws_lb_target_group.proxy.arn
}

# AWS checks the permission when the function is registered.
resource "aws_lb_target_group_attachment" "proxy" {
  target_group_arn = aws_lb_target_group.proxy.arn
  target_id        = aws_lambda_function.proxy.arn

  depends_on = [aws_lambda_permission.listener]
}

resource "aws_lb_listener_rule" "proxy" {
  for_each = { for rule in var.rules : rule.priority => rule }

  listener_arn = var.listener_arn
  priority     = each.value.priority

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.proxy.arn
  }

  dynamic "condition" {
    for_each = length(each.value.path) > 0 ? [each.value.path] : []

    content {
      path_pattern {
        values = condition.value
      }
    }
  }

  dynamic "condition" {
    for_each = length(each.value.method) > 0 ? [each.value.method] : []

    content {
      http_request_method {
        values = condition.value
      }
    }
  }

  dynamic "condition" {
    for_each = length(each.value.host) > 0 ? [each.value.host] : []

    content {
      host_header {
        values = condition.value
      }
    }
  }

  dynamic "condition" {
    for_each = each.value.header

    content {
      http_header {
        http_header_name = condition.value.name
        values           = condition.value.values
      }
    }
  }

  # One condition: its values are alternatives.
  dynamic "condition" {
    for_each = length(each.value.query) > 0 ? [each.value.query] : []

    content {
      dynamic "query_string" {
        for_each = condition.value

        content {
          key   = query_string.value.key
          value = query_string.value.value
        }
      }
    }
  }

  dynamic "condition" {
    for_each = length(each.value.ip) > 0 ? [each.value.ip] : []

    content {
      source_ip {
        values = condition.value
      }
    }
  }

  # No request meets a group without a target, neither after the first `apply` nor during `destroy`.
  depends_on = [aws_lb_target_group_attachment.proxy]
}
