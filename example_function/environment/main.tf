# A function that gets its secret as environment variables, and a second layer's variable too.
# Before: make layer ARCH=x86_64. Then, in this folder: terraform init && terraform apply

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
  default     = "example-get-secrets-lambda"
}

variable "secret_name" {
  description = "A JSON secret with the keys EXAMPLE_AUTH_TOKEN, EXAMPLE_CLUSTER_ID, EXAMPLE_CONNECTION_URL, EXAMPLE_TENANT"
  type        = string
  default     = "example_secret"
}

locals {
  layer_zip = "${path.module}/../../dist/secrets-cache-layer-x86_64.zip"
}

data "aws_secretsmanager_secret" "example" {
  name = var.secret_name
}

data "archive_file" "code" {
  type        = "zip"
  source_file = "${path.module}/lambda_function.py"
  output_path = "${path.module}/function.zip"
}

data "archive_file" "second_layer" {
  type             = "zip"
  source_dir       = "${path.module}/second_layer"
  output_file_mode = "0755"
  output_path      = "${path.module}/second_layer.zip"
}

resource "aws_lambda_layer_version" "secrets_cache" {
  layer_name               = "secrets-cache"
  description              = "Keeps secrets in memory and serves them on localhost"
  license_info             = "Apache-2.0"
  filename                 = local.layer_zip
  source_code_hash         = filebase64sha256(local.layer_zip)
  compatible_architectures = ["x86_64"]
}

resource "aws_lambda_layer_version" "second" {
  layer_name       = "second-example-layer"
  filename         = data.archive_file.second_layer.output_path
  source_code_hash = data.archive_file.second_layer.output_base64sha256
}

resource "aws_lambda_function" "example" {
  function_name    = var.function_name
  role             = aws_iam_role.function.arn
  runtime          = "python3.13"
  architectures    = ["x86_64"]
  handler          = "lambda_function.lambda_handler"
  filename         = data.archive_file.code.output_path
  source_code_hash = data.archive_file.code.output_base64sha256
  memory_size      = 256
  timeout          = 15
  layers           = [aws_lambda_layer_version.secrets_cache.arn, aws_lambda_layer_version.second.arn]

  environment {
    variables = {
      AWS_LAMBDA_EXEC_WRAPPER    = "/opt/get-secrets-layer"
      SECRETS_CACHE_NEXT_WRAPPER = "/opt/second-example-layer"
      SECRET_ARN                 = data.aws_secretsmanager_secret.example.arn
    }
  }

  # The wrapper reads the secret while the function starts.
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
    resources = [data.aws_secretsmanager_secret.example.arn]
  }

  # Only needed for secrets that are encrypted with a key of yours.
  statement {
    actions   = ["kms:Decrypt"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${split(":", data.aws_secretsmanager_secret.example.arn)[3]}.amazonaws.com"]
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
