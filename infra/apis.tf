# The APIs that the rest needs. They stay on when this is destroyed: others may use them as well.

locals {
  apis = toset([
    "bigquery.googleapis.com",
    "bigquerystorage.googleapis.com", # Power BI reads through it
    "iam.googleapis.com",
    "iamcredentials.googleapis.com", # acting as a service account without a key
    "storage.googleapis.com",
    "sts.googleapis.com", # the CI identity
  ])
}

resource "google_project_service" "api" {
  for_each = local.apis

  project            = var.project
  service            = each.key
  disable_on_destroy = false
}
