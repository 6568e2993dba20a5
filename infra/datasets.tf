# Where data is kept: raw for all, and per environment a candidate dataset (dbt builds there) and a live one (readers look there).

locals {
  labels = merge(var.labels, { managed_by = "tofu", application = "millrace" })

  # Marts are copied from candidate to live when every check has passed, so a failed run leaves readers on the last good ones.
  candidate_datasets = { for name in var.environments : name => "analytics_${name}" }
  live_datasets      = { for name in var.environments : name => name == "prod" ? "analytics" : "analytics_${name}_live" }

  expiration_ms = { for name in var.environments : name => try(var.table_expiration_days[name] * 24 * 60 * 60 * 1000, null) }
}

resource "google_bigquery_dataset" "raw" {
  project                    = var.project
  dataset_id                 = "raw"
  location                   = var.location
  description                = "Loaded records as they came, rejects, and the ledger of loads. Written by Millrace only."
  delete_contents_on_destroy = false
  labels                     = local.labels

  depends_on = [google_project_service.api]
}

resource "google_bigquery_dataset" "candidate" {
  for_each = local.candidate_datasets

  project                     = var.project
  dataset_id                  = each.value
  location                    = var.location
  description                 = "What dbt builds in ${each.key}, before it is checked, and the refresh log."
  default_table_expiration_ms = local.expiration_ms[each.key]
  delete_contents_on_destroy  = false
  labels                      = merge(local.labels, { environment = each.key })

  depends_on = [google_project_service.api]
}

resource "google_bigquery_dataset" "live" {
  for_each = local.live_datasets

  project                     = var.project
  dataset_id                  = each.value
  location                    = var.location
  description                 = "The checked marts of ${each.key}, for readers."
  default_table_expiration_ms = local.expiration_ms[each.key]
  delete_contents_on_destroy  = false
  labels                      = merge(local.labels, { environment = each.key })

  depends_on = [google_project_service.api]
}
