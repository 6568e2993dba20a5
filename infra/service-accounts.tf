# Who acts, and who may act as them. No account has a key: people and machines borrow one for an hour (impersonation).

# Millrace knows one connection, the dbt profile's target. So this account loads, runs dbt, publishes and keeps the refresh log.
resource "google_service_account" "loader" {
  for_each = var.environments

  project      = var.project
  account_id   = "millrace-loader-${each.key}"
  display_name = "Millrace ${each.key}: loads, builds, publishes"

  depends_on = [google_project_service.api]
}

# For dbt outside of Millrace, by hand or in CI: it can build candidates, but neither change raw nor publish.
resource "google_service_account" "dbt" {
  for_each = var.environments

  project      = var.project
  account_id   = "millrace-dbt-${each.key}"
  display_name = "Millrace ${each.key}: dbt by hand and in CI"

  depends_on = [google_project_service.api]
}

resource "google_service_account" "powerbi" {
  project      = var.project
  account_id   = "millrace-powerbi"
  display_name = "Millrace: Power BI reads the live marts"

  depends_on = [google_project_service.api]
}

locals {
  loader_users = merge([
    for environment, members in var.loader_users : {
      for member in members : "${environment} ${member}" => { environment = environment, member = member }
    }
  ]...)
  dbt_users = merge([
    for environment, members in var.dbt_users : {
      for member in members : "${environment} ${member}" => { environment = environment, member = member }
    }
  ]...)
}

resource "google_service_account_iam_member" "loader_user" {
  for_each = local.loader_users

  service_account_id = google_service_account.loader[each.value.environment].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value.member
}

resource "google_service_account_iam_member" "dbt_user" {
  for_each = local.dbt_users

  service_account_id = google_service_account.dbt[each.value.environment].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value.member
}
