# What `npm run setup-profiles` reads, and below it what people ask for. Nothing here is secret.

output "project" {
  description = "Id of the project."
  value       = var.project
}

output "location" {
  description = "Where datasets and bucket are."
  value       = var.location
}

output "datasets" {
  description = "Per environment, the dataset that dbt builds in: the target's dataset."
  value       = { for name, dataset in google_bigquery_dataset.candidate : name => dataset.dataset_id }
}

output "live_datasets" {
  description = "Per environment, the dataset that checked marts are published to."
  value       = { for name, dataset in google_bigquery_dataset.live : name => dataset.dataset_id }
}

output "loader_accounts" {
  description = "Per environment, the account that Millrace acts as."
  value       = { for name, account in google_service_account.loader : name => account.email }
}

output "landing_bucket" {
  description = "The bucket for files on their way into the warehouse."
  value       = google_storage_bucket.landing.name
}

# For people

output "raw_dataset" {
  description = "The dataset of loaded records, one for all environments."
  value       = google_bigquery_dataset.raw.dataset_id
}

output "dbt_accounts" {
  description = "Per environment, the account for dbt by hand and in CI."
  value       = { for name, account in google_service_account.dbt : name => account.email }
}

output "powerbi_account" {
  description = "The account that Power BI's gateway acts as."
  value       = google_service_account.powerbi.email
}

output "ci_provider" {
  description = "Full name of the workload identity provider, for google-github-actions/auth; null while var.ci is."
  value       = one(google_iam_workload_identity_pool_provider.github[*].name)
}
