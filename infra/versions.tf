# OpenTofu 1.9 (or Terraform 1.9), the google provider, and where the state is kept.

terraform {
  required_version = ">= 1.9.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.0"
    }
  }

  # The state is a local file until you say where it belongs. For more than one person, take a bucket of your own:
  # backend "gcs" {
  #   bucket = "my-project-tofu-state"
  #   prefix = "millrace"
  # }
}

provider "google" {
  project = var.project
}
