# Provider 5.81 knows all arguments of this module. Terraform 1.9 lets a validation use other variables.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81"
    }
  }
}
