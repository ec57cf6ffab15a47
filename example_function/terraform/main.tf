# One function with the secrets-cache layer. Before: make layer ARCH=x86_64. Then, in this folder:
# terraform init && terraform apply

terraform {
  required_version = ">= 1.5"
  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.4"
    }
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "function_name" {
  description = "The function's name"
  type        = string
  default     = "secrets-cache-example"
}

variable "architecture" {
  description = "The function's architecture, x86_64 or arm64; the layer is built for it"
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture is x86_64 or arm64."
  }
}

variable "secret_names" {
  description = "The secrets that config.yaml lists"
  type        = set(string)
  default     = ["secret_now"]
}

variable "cache_timeout_minutes" {
  description = "Minutes for which a value is used"
  type        = number
  default     = 10
}

locals {
  layer_zip   = "${path.module}/../../dist/secrets-cache-layer-${var.architecture}.zip"
  secret_arns = [for secret in data.aws_secretsmanager_secret.listed : secret.arn]
}

data "aws_secretsmanager_secret" "listed" {
  for_each = var.secret_names
  name     = each.value
}

data "archive_file" "code" {
  type        = "zip"
  output_path = "${path.module}/function.zip"

  source {
    filename = "lambda_function.py"
    content  = file("${path.module}/../lambda_function.py")
  }

  source {
    filename = "config.yaml"
    content  = file("${path.module}/../config.yaml")
  }
}

resource "aws_lambda_layer_version" "secrets_cache" {
  layer_name               = "secrets-cache"
  description              = "Keeps secrets in memory and serves them on localhost"
  license_info             = "Apache-2.0"
  filename                 = local.layer_zip
  source_code_hash         = filebase64sha256(local.layer_zip)
  compatible_architectures = [var.architecture]
}

resource "aws_lambda_function" "example" {
  function_name    = var.function_name
  role             = aws_iam_role.function.arn
  runtime          = "python3.13"
  architectures    = [var.architecture]
  handler          = "lambda_function.lambda_handler"
  filename         = data.archive_file.code.output_path
  source_code_hash = data.archive_file.code.output_base64sha256
  memory_size      = 256
  timeout          = 15
  layers           = [aws_lambda_layer_version.secrets_cache.arn]

  environment {
    variables = {
      CACHE_TIMEOUT = tostring(var.cache_timeout_minutes)
    }
  }

  # The extension reads the secrets while the function starts.
  depends_on = [aws_iam_role_policy.secrets]
}

resource "aws_iam_role" "function" {
  name_prefix        = "secrets-cache-"
  assume_role_policy = data.aws_iam_policy_document.lambda.json
}

data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "secrets" {
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = local.secret_arns
  }

  # Only needed for secrets that are encrypted with a key of yours.
  statement {
    actions   = ["kms:Decrypt"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [for arn in local.secret_arns : "secretsmanager.${split(":", arn)[3]}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "secrets" {
  name   = "secrets-cache"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.secrets.json
}

data "aws_partition" "current" {}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.function.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

output "function_arn" {
  value = aws_lambda_function.example.arn
}
