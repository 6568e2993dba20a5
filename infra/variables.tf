# What may be set in terraform.tfvars; only the project has no default.

variable "project" {
  description = "Id of the Google Cloud project that everything is created in. It must exist and have billing."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "Write the project's id (6 to 30 lower-case letters, digits and hyphens), not its name or number."
  }
}

variable "location" {
  description = "Where datasets and bucket are: a multi-region (EU, US) or a region (europe-west9). It cannot be changed later."
  type        = string
  default     = "EU"
}

variable "environments" {
  description = "One dbt target each, with datasets and accounts of its own. Add \"staging\" and apply."
  type        = set(string)
  default     = ["dev", "prod"]

  validation {
    condition     = alltrue([for name in var.environments : can(regex("^[a-z][a-z0-9]{0,13}$", name))])
    error_message = "An environment is named by 1 to 14 lower-case letters and digits: it becomes part of dataset and account names."
  }

  validation {
    condition     = contains(var.environments, "prod")
    error_message = "The environment \"prod\" is needed: Power BI reads its live dataset."
  }
}

variable "table_expiration_days" {
  description = "Days after which new tables of an environment's datasets go by themselves, as { dev = 30 }; never where it is not named."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.table_expiration_days) : contains(var.environments, name) && name != "prod"])
    error_message = "Name environments of var.environments, and not prod: its tables stay."
  }

  validation {
    condition     = alltrue([for days in values(var.table_expiration_days) : days >= 1])
    error_message = "Tables live for a day at least."
  }
}

variable "landing_days" {
  description = "Days after which objects are removed from the landing bucket."
  type        = number
  default     = 30

  validation {
    condition     = var.landing_days >= 1 && floor(var.landing_days) == var.landing_days
    error_message = "Write a whole number of days, at least 1."
  }
}

variable "bucket_name" {
  description = "Name of the landing bucket, unique in the world. Default: <project>-millrace-landing."
  type        = string
  default     = null
}

variable "loader_users" {
  description = "Who may act as an environment's loader, as { prod = [\"serviceAccount:…\"] }: the machine that runs the worker, in dev its developers."
  type        = map(set(string))
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.loader_users) : contains(var.environments, name)])
    error_message = "Name environments of var.environments."
  }

  validation {
    condition     = alltrue([for member in flatten(values(var.loader_users)) : can(regex("^(user|group|serviceAccount):", member))])
    error_message = "Write members as user:…, group:… or serviceAccount:…; nobody else can be let in."
  }
}

variable "dbt_users" {
  description = "Who may act as an environment's dbt account, written as in loader_users: people who run dbt by hand."
  type        = map(set(string))
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.dbt_users) : contains(var.environments, name)])
    error_message = "Name environments of var.environments."
  }

  validation {
    condition     = alltrue([for member in flatten(values(var.dbt_users)) : can(regex("^(user|group|serviceAccount):", member))])
    error_message = "Write members as user:…, group:… or serviceAccount:…; nobody else can be let in."
  }
}

variable "ci" {
  description = "Lets a GitHub repository's workflows act as an environment's dbt account, without any key. Off while null."
  type = object({
    repository  = string
    environment = optional(string, "dev")
  })
  default = null

  validation {
    condition     = var.ci == null ? true : can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.ci.repository))
    error_message = "Write the repository as owner/name."
  }

  validation {
    condition     = var.ci == null ? true : contains(var.environments, var.ci.environment) && var.ci.environment != "prod"
    error_message = "Name an environment of var.environments, and not prod: what builds there goes through a worker."
  }
}

variable "labels" {
  description = "Labels on datasets and bucket, beside those set here."
  type        = map(string)
  default     = {}
}
