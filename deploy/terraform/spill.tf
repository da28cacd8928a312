# A bucket for responses that the load balancer cannot carry. Clients get links to its objects that expire; everything is deleted
# after a day.

locals {
  spill_environment = { for bucket in aws_s3_bucket.spill : "SPILL_BUCKET" => bucket.bucket }

  # Reading is what a link allows: S3 checks the role that signed it, when the link is used.
  spill_permissions = {
    for bucket in aws_s3_bucket.spill : "spill" => jsonencode([{
      Effect   = "Allow"
      Action   = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject"]
      Resource = ["${bucket.arn}/responses/*"]
    }])
  }
}

# Encrypted with keys of S3 (SSE-S3). With a key of KMS, the function also needs `kms:GenerateDataKey` and `kms:Decrypt` for it.
resource "aws_s3_bucket" "spill" {
  count = var.spill ? 1 : 0

  bucket_prefix = "${var.name}-responses-"
}

resource "aws_s3_bucket_server_side_encryption_configuration" "spill" {
  count = var.spill ? 1 : 0

  bucket = aws_s3_bucket.spill[0].bucket

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "spill" {
  count = var.spill ? 1 : 0

  bucket = aws_s3_bucket.spill[0].bucket

  # The shortest time that S3 has. A link has ended long before.
  rule {
    id     = "responses"
    status = "Enabled"

    filter {}

    expiration {
      days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

# For scripts of the site that follow the redirect. Whoever has a link may read, wherever their page is from.
resource "aws_s3_bucket_cors_configuration" "spill" {
  count = var.spill ? 1 : 0

  bucket = aws_s3_bucket.spill[0].bucket

  cors_rule {
    allowed_origins = ["*"]
    allowed_methods = ["GET"]
    allowed_headers = ["*"]
    max_age_seconds = 3600
  }
}

resource "aws_s3_bucket_ownership_controls" "spill" {
  count = var.spill ? 1 : 0

  bucket = aws_s3_bucket.spill[0].bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "spill" {
  count = var.spill ? 1 : 0

  bucket                  = aws_s3_bucket.spill[0].bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "spill" {
  count = var.spill ? 1 : 0

  bucket = aws_s3_bucket.spill[0].bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyWithTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.spill[0].arn, "${aws_s3_bucket.spill[0].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # AWS checks a policy against the block, and changes of one bucket at the same time fail.
  depends_on = [aws_s3_bucket_public_access_block.spill]
}
