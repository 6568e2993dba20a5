# The landing bucket: files on their way into the warehouse. Nothing stays: the warehouse is where data is kept.

resource "google_storage_bucket" "landing" {
  project                     = var.project
  name                        = coalesce(var.bucket_name, "${var.project}-millrace-landing")
  location                    = var.location # a load job reads from its dataset's location only
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = local.labels

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age        = var.landing_days
      with_state = "LIVE"
    }
  }

  # With versioning, what was deleted or overwritten lives on unseen until this rule.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 7
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }

  depends_on = [google_project_service.api]
}
