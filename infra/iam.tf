# Who may what. Only *_iam_member, which adds one grant and leaves all others alone: *_iam_binding, *_iam_policy and the
# datasets' own access lists would take away what somebody else granted.

# Project: starting jobs is asked for there. It lets nobody read anything.

resource "google_project_iam_member" "loader_runs_jobs" {
  for_each = google_service_account.loader

  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = each.value.member
}

resource "google_project_iam_member" "dbt_runs_jobs" {
  for_each = google_service_account.dbt

  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = each.value.member
}

resource "google_project_iam_member" "powerbi_runs_jobs" {
  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.powerbi.member
}

resource "google_project_iam_member" "powerbi_reads_by_storage_api" {
  project = var.project
  role    = "roles/bigquery.readSessionUser"
  member  = google_service_account.powerbi.member
}

# What a killed run left running is found by its label. The smallest role of Google's that may list jobs may also create datasets.
resource "google_project_iam_custom_role" "job_lister" {
  project     = var.project
  role_id     = "millraceJobLister"
  title       = "Millrace: list own jobs"
  description = "Finds the jobs that an earlier attempt left, to cancel them. Details of others' jobs stay hidden."
  permissions = ["bigquery.jobs.list"]

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "loader_lists_jobs" {
  for_each = google_service_account.loader

  project = var.project
  role    = google_project_iam_custom_role.job_lister.name
  member  = each.value.member
}

# Raw

resource "google_bigquery_dataset_iam_member" "loader_writes_raw" {
  for_each = google_service_account.loader

  project    = var.project
  dataset_id = google_bigquery_dataset.raw.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = each.value.member
}

resource "google_bigquery_dataset_iam_member" "dbt_reads_raw" {
  for_each = google_service_account.dbt

  project    = var.project
  dataset_id = google_bigquery_dataset.raw.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.value.member
}

# Candidate and live datasets, of the account's own environment only

resource "google_bigquery_dataset_iam_member" "loader_builds" {
  for_each = google_service_account.loader

  project    = var.project
  dataset_id = google_bigquery_dataset.candidate[each.key].dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = each.value.member
}

resource "google_bigquery_dataset_iam_member" "dbt_builds" {
  for_each = google_service_account.dbt

  project    = var.project
  dataset_id = google_bigquery_dataset.candidate[each.key].dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = each.value.member
}

resource "google_bigquery_dataset_iam_member" "loader_publishes" {
  for_each = google_service_account.loader

  project    = var.project
  dataset_id = google_bigquery_dataset.live[each.key].dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = each.value.member
}

resource "google_bigquery_dataset_iam_member" "powerbi_reads_live" {
  project    = var.project
  dataset_id = google_bigquery_dataset.live["prod"].dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.powerbi.member
}

# Landing bucket: files are read, staging objects written and removed again. objectUser is objectAdmin without access lists.

resource "google_storage_bucket_iam_member" "loader_uses_landing" {
  for_each = google_service_account.loader

  bucket = google_storage_bucket.landing.name
  role   = "roles/storage.objectUser"
  member = each.value.member
}
