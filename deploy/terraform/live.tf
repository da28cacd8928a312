# Live state: the small document with which a step of the migration needs no deployment. The function may read it, and write it
# only if an alarm or a schedule moves users.

locals {
  live_key       = "live.json"
  live_parameter = "/${var.name}/live"

  live_place = {
    none      = null
    s3        = one([for bucket in aws_s3_bucket.live : "s3://${bucket.bucket}/${local.live_key}"])
    ssm       = "ssm:${local.live_parameter}"
    appconfig = one([for id in local.appconfig : "appconfig:${id.application}/${id.environment}/${id.profile}"])
  }[var.live]

  live_environment = merge(
    var.live == "none" ? {} : { CROSSFADE_LIVE = local.live_place },
    # By default the extension looks for a change every 45 s.
    var.live == "appconfig" ? { AWS_APPCONFIG_EXTENSION_POLL_INTERVAL_SECONDS = "15" } : {},
  )

  appconfig = [for profile in aws_appconfig_configuration_profile.live : {
    application = profile.application_id
    environment = aws_appconfig_environment.live[0].environment_id
    profile     = profile.configuration_profile_id
  }]
  appconfig_arn = "arn:${local.partition}:appconfig:${local.place}"

  live_arn   = one([for bucket in aws_s3_bucket.live : "${bucket.arn}/${local.live_key}"])
  ssm_arn    = "arn:${local.partition}:ssm:${local.place}:parameter${local.live_parameter}"
  claims_arn = "${local.ssm_arn}.claim-*"

  live_read = {
    none = null
    s3 = jsonencode([
      { Effect = "Allow", Action = ["s3:GetObject"], Resource = [local.live_arn] },
      # Without it, S3 responds 403 instead of 404 until there is a state, and that is an error.
      {
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = aws_s3_bucket.live[*].arn
        Condition = { StringEquals = { "s3:prefix" = local.live_key } }
      },
    ])
    ssm = jsonencode([{ Effect = "Allow", Action = ["ssm:GetParameter"], Resource = [local.ssm_arn] }])
    appconfig = jsonencode([{
      Effect = "Allow"
      Action = ["appconfig:StartConfigurationSession", "appconfig:GetLatestConfiguration"]
      Resource = [
        for id in local.appconfig :
        "${local.appconfig_arn}:application/${id.application}/environment/${id.environment}/configuration/${id.profile}"
      ]
    }])
  }[var.live]

  # Empty where the function cannot write: AppConfig's own alarms roll back.
  live_write = {
    s3 = jsonencode([{ Effect = "Allow", Action = ["s3:PutObject"], Resource = [local.live_arn] }])
    # A parameter cannot be written on a condition. So a writer first creates a claim next to it, and deletes it afterwards.
    ssm = jsonencode([
      { Effect = "Allow", Action = ["ssm:PutParameter"], Resource = [local.ssm_arn] },
      {
        Effect   = "Allow"
        Action   = ["ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameter"]
        Resource = [local.claims_arn]
      },
    ])
  }

  live_evidence = jsonencode([{
    Effect   = "Allow"
    Action   = ["logs:FilterLogEvents"]
    Resource = ["${aws_cloudwatch_log_group.proxy.arn}:*"]
  }])

  live_permissions = merge(
    var.live == "none" ? {} : { live-state-read = local.live_read },
    var.live_alarm || var.live_schedule ? { live-state-write = lookup(local.live_write, var.live, "[]") } : {},
    var.live_schedule ? { live-evidence = local.live_evidence } : {},
  )
}

# Encrypted with keys of S3 (SSE-S3): a key of KMS would add its price and its limits to every read. Without the state, everyone
# would be where the file says. So `destroy` keeps a bucket that has one: see "The end of the migration" in README.md.
resource "aws_s3_bucket" "live" {
  count = var.live == "s3" ? 1 : 0

  bucket_prefix = "${var.name}-live-"
}

resource "aws_s3_bucket_server_side_encryption_configuration" "live" {
  count = var.live == "s3" ? 1 : 0

  bucket = aws_s3_bucket.live[0].bucket

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# The history: `crossfade history` lists it, and `crossfade undo` returns to a version of it.
resource "aws_s3_bucket_versioning" "live" {
  count = var.live == "s3" ? 1 : 0

  bucket = aws_s3_bucket.live[0].bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "live" {
  count = var.live == "s3" ? 1 : 0

  bucket = aws_s3_bucket_versioning.live[0].bucket

  rule {
    id     = "earlier-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days           = 90
      newer_noncurrent_versions = 100
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "live" {
  count = var.live == "s3" ? 1 : 0

  bucket = aws_s3_bucket.live[0].bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "live" {
  count = var.live == "s3" ? 1 : 0

  bucket                  = aws_s3_bucket.live[0].bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "live" {
  count = var.live == "s3" ? 1 : 0

  bucket = aws_s3_bucket.live[0].bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyWithTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.live[0].arn, "${aws_s3_bucket.live[0].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # AWS checks a policy against the block, and changes of one bucket at the same time fail.
  depends_on = [aws_s3_bucket_public_access_block.live]
}

# A parameter of Systems Manager is not here: the first change creates it, and one of Terraform's would be reset by `apply`.

resource "aws_appconfig_application" "live" {
  count = var.live == "appconfig" ? 1 : 0

  name = var.name
}

resource "aws_appconfig_environment" "live" {
  count = var.live == "appconfig" ? 1 : 0

  application_id = aws_appconfig_application.live[0].id
  name           = "live"
}

resource "aws_appconfig_configuration_profile" "live" {
  count = var.live == "appconfig" ? 1 : 0

  application_id = aws_appconfig_application.live[0].id
  name           = "live"
  location_uri   = "hosted"
  type           = "AWS.Freeform"
}
