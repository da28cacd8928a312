# Listener rules from `crossfade.yaml` by `crossfade export alb-rules`.
# route `orders` needs the function: its users are on several back ends, by `weight`, `pin`, `otherwise` or `optIn`
# route `carts` loses: `retry` of back end `modern`

variable "listener_arn" {
  type        = string
  description = "Listener of the load balancer"
}

variable "function_target_group_arn" {
  type        = string
  description = "Target group of the Crossfade function"
}

variable "legacy_target_group_arn" {
  type        = string
  description = "Target group of back end legacy, https://legacy.example.com"
}

variable "modern_target_group_arn" {
  type        = string
  description = "Target group of back end modern, https://modern.example.com"
}

variable "own_target_group_arn" {
  type        = string
  description = "Target group of back end own, https://own.example.com"
}

resource "aws_lb_listener_rule" "rule_1_orders" {
  listener_arn = var.listener_arn
  priority     = 1

  action {
    type             = "forward"
    target_group_arn = var.function_target_group_arn
  }

  condition {
    path_pattern {
      values = ["/api/orders/*"]
    }
  }
}

resource "aws_lb_listener_rule" "rule_2_carts" {
  listener_arn = var.listener_arn
  priority     = 2

  action {
    type             = "forward"
    target_group_arn = var.modern_target_group_arn
  }

  condition {
    http_request_method {
      values = ["GET", "HEAD"]
    }
  }

  condition {
    path_pattern {
      values = ["/api", "/api/*"]
    }
  }
}

resource "aws_lb_listener_rule" "rule_3_search" {
  listener_arn = var.listener_arn
  priority     = 3

  action {
    type             = "forward"
    target_group_arn = var.own_target_group_arn
  }

  condition {
    host_header {
      values = ["*.example.com"]
    }
  }

  condition {
    path_pattern {
      regex_values = ["^/search(/|$)"]
    }
  }

  condition {
    http_header {
      http_header_name = "x-beta"
      values           = ["1", "yes*"]
    }
  }

  condition {
    query_string {
      key   = "v"
      value = "1"
    }
  }

  transform {
    type = "host-header-rewrite"
    host_header_rewrite_config {
      rewrite {
        regex   = "^.*$"
        replace = "own.example.com"
      }
    }
  }
}

resource "aws_lb_listener_rule" "rule_4_search" {
  listener_arn = var.listener_arn
  priority     = 4

  action {
    type             = "forward"
    target_group_arn = var.own_target_group_arn
  }

  condition {
    host_header {
      values = ["*.example.com"]
    }
  }

  condition {
    path_pattern {
      regex_values = ["^/search(/|$)"]
    }
  }

  condition {
    http_header {
      http_header_name = "x-beta"
      values           = ["1", "yes*"]
    }
  }

  condition {
    query_string {
      key   = "v"
      value = "2"
    }
  }

  transform {
    type = "host-header-rewrite"
    host_header_rewrite_config {
      rewrite {
        regex   = "^.*$"
        replace = "own.example.com"
      }
    }
  }
}

resource "aws_lb_listener_rule" "rule_5_search" {
  listener_arn = var.listener_arn
  priority     = 5

  action {
    type             = "forward"
    target_group_arn = var.own_target_group_arn
  }

  condition {
    host_header {
      values = ["*.example.com"]
    }
  }

  condition {
    path_pattern {
      regex_values = ["^/search(/|$)"]
    }
  }

  condition {
    http_header {
      http_header_name = "x-beta"
      values           = ["1", "yes*"]
    }
  }

  condition {
    query_string {
      key   = "debug"
      value = "*"
    }
  }

  transform {
    type = "host-header-rewrite"
    host_header_rewrite_config {
      rewrite {
        regex   = "^.*$"
        replace = "own.example.com"
      }
    }
  }
}

resource "aws_lb_listener_rule" "rule_6_old_blog" {
  listener_arn = var.listener_arn
  priority     = 6

  action {
    type = "redirect"
    redirect {
      status_code = "HTTP_301"
      protocol    = "HTTPS"
      host        = "blog.example.com"
      port        = "443"
      query       = "#{query}&from=shop"
    }
  }

  condition {
    path_pattern {
      values = ["/blog/*"]
    }
  }

  condition {
    source_ip {
      values = ["10.0.0.0/8"]
    }
  }
}

resource "aws_lb_listener_rule" "rule_7_closed" {
  listener_arn = var.listener_arn
  priority     = 7

  action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/html"
      status_code  = "503"
      message_body = "<p>It's \"closed\" now"
    }
  }

  condition {
    path_pattern {
      values = ["/checkout/*"]
    }
  }
}

resource "aws_lb_listener_rule" "rule_8_default" {
  listener_arn = var.listener_arn
  priority     = 8

  action {
    type             = "forward"
    target_group_arn = var.legacy_target_group_arn
  }

  condition {
    path_pattern {
      values = ["/*"]
    }
  }
}
