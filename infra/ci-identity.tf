# Optional (var.ci): workflows of one GitHub repository act as an environment's dbt account. GitHub says who they are, no key exists.

resource "google_iam_workload_identity_pool" "ci" {
  count = var.ci == null ? 0 : 1

  project                   = var.project
  workload_identity_pool_id = "millrace-ci"
  display_name              = "Millrace CI"

  depends_on = [google_project_service.api]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  count = var.ci == null ? 0 : 1

  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.ci[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"
  # GitHub signs for every repository there is: only this one is let in.
  attribute_condition = "assertion.repository == '${var.ci.repository}'"
  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "ci_is_dbt" {
  count = var.ci == null ? 0 : 1

  service_account_id = google_service_account.dbt[var.ci.environment].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.ci[0].name}/attribute.repository/${var.ci.repository}"
}
