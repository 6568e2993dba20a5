# What the files above make, planned against a mocked provider: no cloud, no credentials.
# Run in infra/: tofu init -backend=false && tofu test

mock_provider "google" {}

variables {
  project = "my-project"
}

run "dev_and_prod_by_default" {
  command = plan

  assert {
    condition = [for dataset in concat(
      [google_bigquery_dataset.raw], values(google_bigquery_dataset.candidate), values(google_bigquery_dataset.live)
    ) : dataset.dataset_id] == ["raw", "analytics_dev", "analytics_prod", "analytics_dev_live", "analytics"]
    error_message = "The datasets are raw, a candidate per environment, and a live one each; prod's is analytics."
  }

  assert {
    condition = alltrue([for dataset in concat(
      [google_bigquery_dataset.raw], values(google_bigquery_dataset.candidate), values(google_bigquery_dataset.live)
      ) : dataset.location == "EU" && !dataset.delete_contents_on_destroy && dataset.default_table_expiration_ms == null
    ])
    error_message = "All datasets are in the one location, are never emptied, and keep their tables."
  }

  assert {
    condition     = google_storage_bucket.landing.name == "my-project-millrace-landing" && google_storage_bucket.landing.location == "EU"
    error_message = "The bucket is where the datasets are."
  }

  assert {
    condition     = [for account in google_service_account.loader : account.account_id] == ["millrace-loader-dev", "millrace-loader-prod"]
    error_message = "Each environment has a loader of its own."
  }

  assert {
    condition     = length(google_iam_workload_identity_pool.ci) == 0 && length(google_service_account_iam_member.loader_user) == 0
    error_message = "Nobody may act as an account who was not named."
  }
}

run "staging_is_one_word_more" {
  command = plan

  variables {
    environments = ["dev", "staging", "prod"]
  }

  assert {
    condition = alltrue([
      google_bigquery_dataset.candidate["staging"].dataset_id == "analytics_staging",
      google_bigquery_dataset.live["staging"].dataset_id == "analytics_staging_live",
      google_service_account.loader["staging"].account_id == "millrace-loader-staging",
      google_service_account.dbt["staging"].account_id == "millrace-dbt-staging",
    ])
    error_message = "A further environment has all that dev and prod have."
  }

  assert {
    condition = alltrue([
      google_bigquery_dataset_iam_member.loader_builds["staging"].dataset_id == "analytics_staging",
      google_bigquery_dataset_iam_member.dbt_builds["staging"].dataset_id == "analytics_staging",
      google_bigquery_dataset_iam_member.loader_publishes["staging"].dataset_id == "analytics_staging_live",
      google_bigquery_dataset_iam_member.powerbi_reads_live.dataset_id == "analytics",
    ])
    error_message = "Each account writes its own environment only, and Power BI reads prod."
  }
}

run "tables_of_dev_may_expire" {
  command = plan

  variables {
    table_expiration_days = { dev = 30 }
  }

  assert {
    condition     = google_bigquery_dataset.candidate["dev"].default_table_expiration_ms == 2592000000
    error_message = "30 days are 2,592,000,000 ms."
  }

  assert {
    condition     = google_bigquery_dataset.candidate["prod"].default_table_expiration_ms == null && google_bigquery_dataset.raw.default_table_expiration_ms == null
    error_message = "Tables of prod and raw stay."
  }
}

run "named_people_may_act_as_an_account" {
  command = plan

  variables {
    loader_users = { dev = ["group:a@example.org", "user:b@example.org"], prod = ["serviceAccount:w@example.org"] }
    dbt_users    = { dev = ["group:a@example.org"] }
  }

  assert {
    condition     = length(google_service_account_iam_member.loader_user) == 3 && length(google_service_account_iam_member.dbt_user) == 1
    error_message = "One grant per person and environment."
  }

  assert {
    condition     = google_service_account_iam_member.loader_user["prod serviceAccount:w@example.org"].role == "roles/iam.serviceAccountTokenCreator"
    error_message = "They borrow the account, without a key."
  }
}

run "ci_is_let_in_by_name" {
  command = plan

  variables {
    ci = { repository = "example-org/analytics" }
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github[0].attribute_condition == "assertion.repository == 'example-org/analytics'"
    error_message = "No other repository is let in."
  }
}

run "applied_it_tells_what_setup_profiles_needs" {
  assert {
    condition     = output.datasets == { dev = "analytics_dev", prod = "analytics_prod" } && output.live_datasets == { dev = "analytics_dev_live", prod = "analytics" }
    error_message = "Each environment has its two datasets."
  }

  assert {
    condition     = keys(output.loader_accounts) == ["dev", "prod"] && output.landing_bucket == "my-project-millrace-landing" && output.ci_provider == null
    error_message = "Accounts by environment, the bucket, and no CI."
  }
}

run "a_project_is_an_id" {
  command = plan

  variables {
    project = "My Project"
  }

  expect_failures = [var.project]
}

run "without_prod_nothing_can_be_read" {
  command = plan

  variables {
    environments = ["dev"]
  }

  expect_failures = [var.environments]
}

run "an_environment_has_a_short_plain_name" {
  command = plan

  variables {
    environments = ["prod", "pre-prod"]
  }

  expect_failures = [var.environments]
}

run "tables_of_prod_never_expire" {
  command = plan

  variables {
    table_expiration_days = { prod = 30 }
  }

  expect_failures = [var.table_expiration_days]
}

run "nobody_is_let_into_an_environment_that_does_not_exist" {
  command = plan

  variables {
    loader_users = { prd = ["group:a@example.org"] }
    dbt_users    = { prd = ["group:a@example.org"] }
  }

  expect_failures = [var.loader_users, var.dbt_users]
}

run "not_everybody_is_let_in" {
  command = plan

  variables {
    loader_users = { dev = ["allAuthenticatedUsers"] }
  }

  expect_failures = [var.loader_users]
}

run "ci_does_not_build_in_prod" {
  command = plan

  variables {
    ci = { repository = "example-org/analytics", environment = "prod" }
  }

  expect_failures = [var.ci]
}
