variable "project" {
  type        = string
  description = "Id of the Google Cloud project."
}

variable "region" {
  type        = string
  description = "Region of the worker, and of Cloud Scheduler."
}

variable "image" {
  type        = string
  description = "The worker's image, preferably by its digest: REGION-docker.pkg.dev/PROJECT/REPOSITORY/promptbridge@sha256:…"
}

variable "name" {
  type        = string
  default     = "promptbridge"
  description = "What the names of all resources begin with."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.name))
    error_message = "The name must have 3 to 22 lower-case letters, digits and hyphens, because the names of service accounts are limited."
  }
}

variable "enable_services" {
  type        = bool
  default     = true
  description = "Whether to enable the project's APIs. A destroy disables none."
}

# The worker's identity in Azure, and the deployments that it calls.

variable "azure_tenant_id" {
  type        = string
  description = "Entra tenant of the app registration."
}

variable "azure_client_id" {
  type        = string
  description = "The app registration's application (client) id."
}

variable "azure_cloud" {
  type        = string
  default     = "public"
  description = "public, us-government or china."

  validation {
    condition     = contains(["public", "us-government", "china"], var.azure_cloud)
    error_message = "azure_cloud must be public, us-government or china."
  }
}

variable "deployments" {
  type = list(object({
    model             = string
    endpoint          = string
    deployment        = string
    name              = optional(string)
    priority          = optional(number, 1)
    rpm               = optional(number)
    tpm               = optional(number)
    max_output_tokens = optional(number)
  }))
  description = "The Azure OpenAI deployments. If each has rpm, its requests per minute, the number of instances follows the quota."

  validation {
    condition     = length(var.deployments) > 0
    error_message = "At least one deployment is required."
  }

  validation {
    condition     = alltrue([for each in var.deployments : !can(regex("(?i)^https://([^/:]+\\.)?api\\.cognitive\\.(microsoft|azure)\\.", each.endpoint))])
    error_message = "A regional endpoint does not accept Entra tokens. Give the resource a custom subdomain, and use https://NAME.openai.azure.com."
  }

  validation {
    condition     = length(distinct([for each in var.deployments : [each.model, each.endpoint, each.deployment]])) == length(var.deployments)
    error_message = "A pair of model and deployment is listed twice."
  }
}

variable "openai_api_version" {
  type        = string
  default     = null
  description = "A dated version of Azure OpenAI's API; null: the v1 API."
}

variable "allow_custom_hosts" {
  type        = bool
  default     = false
  description = "Whether tokens may be sent to endpoints outside the Azure cloud, such as API Management. These endpoints can read the tokens."
}

# IAM members and their permissions.

variable "submitters" {
  type        = set(string)
  default     = []
  description = "IAM members that may publish jobs, such as serviceAccount:EMAIL or group:EMAIL."

  validation {
    condition     = alltrue([for member in var.submitters : !can(regex("(?i)^\\s*all(authenticated)?users\\s*$|goog/public:", member))])
    error_message = "submitters names everyone: allUsers and allAuthenticatedUsers are refused. Name accounts or groups, such as serviceAccount:EMAIL, user:EMAIL or group:EMAIL."
  }
}

variable "operators" {
  type        = set(string)
  default     = []
  description = "IAM members that may use the promptbridge command: submit, show, results, cancel, dead-letters, and doctor without the worker's identity. They read and write records, with prompts and answers. pause_operators and worker_token_operators allow more."

  validation {
    condition     = alltrue([for member in var.operators : !can(regex("(?i)^\\s*all(authenticated)?users\\s*$|goog/public:", member))])
    error_message = "operators names everyone: allUsers and allAuthenticatedUsers are refused. Name accounts or groups, such as serviceAccount:EMAIL, user:EMAIL or group:EMAIL."
  }
}

# Permissions beyond operating. Only the members that are named here have them.

variable "pause_operators" {
  type        = set(string)
  default     = []
  description = "Those of operators that may also pause and resume. Each of them can change the push endpoint and the push identity. So each can redirect all messages, with the tokens that Pub/Sub creates for the invoker."

  validation {
    condition     = alltrue([for member in var.pause_operators : !can(regex("(?i)^\\s*all(authenticated)?users\\s*$|goog/public:", member))])
    error_message = "pause_operators names everyone: allUsers and allAuthenticatedUsers are refused. Name accounts or groups, such as serviceAccount:EMAIL, user:EMAIL or group:EMAIL."
  }
}

variable "worker_token_operators" {
  type        = set(string)
  default     = []
  description = "Those of operators that may also get the worker's ID token, for doctor and token inspect. Each of them can act as the worker to Azure, and to every other service that trusts this token."

  validation {
    condition     = alltrue([for member in var.worker_token_operators : !can(regex("(?i)^\\s*all(authenticated)?users\\s*$|goog/public:", member))])
    error_message = "worker_token_operators names everyone: allUsers and allAuthenticatedUsers are refused. Name accounts or groups, such as serviceAccount:EMAIL, user:EMAIL or group:EMAIL."
  }
}

variable "doctor_users" {
  type        = set(string)
  default     = []
  description = "IAM members that may run the doctor as a service account of its own, NAME-doctor. This account reads settings, grants, subscriptions and records, with prompts and answers, and changes nothing."

  validation {
    condition     = alltrue([for member in var.doctor_users : !can(regex("(?i)^\\s*all(authenticated)?users\\s*$|goog/public:", member))])
    error_message = "doctor_users names everyone: allUsers and allAuthenticatedUsers are refused. Name accounts or groups, such as serviceAccount:EMAIL, user:EMAIL or group:EMAIL."
  }
}

variable "grant_token_creator" {
  type        = bool
  default     = false
  description = "Whether Pub/Sub needs a grant to create tokens of the invoker: true for a project created before April 2021."
}

# Resources of the worker.

variable "max_in_flight" {
  type        = number
  default     = 100
  description = "The most jobs that run at once on an instance."

  validation {
    condition     = var.max_in_flight >= 1 && var.max_in_flight <= 900
    error_message = "max_in_flight must be 1 to 900: Cloud Run allows 1,000 requests at once, and some of them are not jobs."
  }
}

variable "max_in_flight_bytes" {
  type        = number
  default     = 32000000
  description = "The most bytes of pushes that are held at once on an instance. They decide its memory."

  validation {
    condition     = var.max_in_flight_bytes >= 1000000 && var.max_in_flight_bytes <= 332000000
    error_message = "max_in_flight_bytes must be 1,000,000 to 332,000,000: one processor has at most 4 GiB of memory."
  }
}

variable "min_instances" {
  type        = number
  default     = 0
  description = "The minimum number of instances, also when there are no jobs."
}

variable "max_instances" {
  type        = number
  default     = null
  description = "The maximum number of instances; null: as many as the quota and Pub/Sub can use."
}

variable "job_seconds" {
  type        = number
  default     = 10
  description = "The approximate time of a model call. With the deployments' rpm it decides the number of instances."
}

variable "max_job_age_days" {
  type        = number
  default     = 7
  description = "The greatest age of a job that Pub/Sub forwards to the dead-letter topic again and again."

  validation {
    condition     = var.max_job_age_days >= 1 && var.max_job_age_days <= 30
    error_message = "max_job_age_days must be 1 to 30: Pub/Sub keeps a message for at most 31 days."
  }
}

# Settings of the worker that affect nothing else here. Null: the worker's default, which the README lists.

variable "model_timeout_seconds" {
  type        = number
  default     = null
  description = "MODEL_TIMEOUT_SECONDS: the longest time of one attempt."

  validation {
    condition     = coalesce(var.model_timeout_seconds, 1) >= 1 && coalesce(var.model_timeout_seconds, 1) <= 290
    error_message = "model_timeout_seconds must be 1 to 290: Node's HTTP client stops after 300 seconds."
  }
}

variable "max_attempts" {
  type        = number
  default     = null
  description = "MAX_ATTEMPTS: attempts of unknown outcome before a job is dead-lettered."
}

variable "on_unknown" {
  type        = string
  default     = null
  description = "ON_UNKNOWN: retry or dead-letter."
}

variable "max_output_tokens" {
  type        = number
  default     = null
  description = "MAX_OUTPUT_TOKENS: the most output tokens that a job may request."
}

variable "allow_body_fields" {
  type        = string
  default     = null
  description = "ALLOW_BODY_FIELDS: names of the additional features that job bodies may use, separated by commas."
}

variable "daily_token_limit" {
  type        = number
  default     = null
  description = "DAILY_TOKEN_LIMIT: after this many tokens in a day (UTC), no job is started. The limit is approximate."
}

variable "record_ttl_days" {
  type        = number
  default     = null
  description = "RECORD_TTL_DAYS: how long settled records and dead letters are kept; at least max_job_age_days."
}

variable "log_level" {
  type        = string
  default     = null
  description = "LOG_LEVEL: debug, info, warn or error."
}

# The database of records, and the table of events.

variable "create_database" {
  type        = bool
  default     = true
  description = "Whether to create the Firestore database; false if a database in native mode exists already."
}

variable "firestore_database" {
  type        = string
  default     = null
  description = "Id of the Firestore database. Null: NAME-records for a new database, (default) for an existing one. An installation keeps its first database; a plan with another id fails."

  validation {
    condition     = var.firestore_database == null || can(regex("^([(]default[)]|[a-z][a-z0-9-]{2,61}[a-z0-9])$", var.firestore_database))
    error_message = "firestore_database must be (default), or 4 to 63 lower-case letters, digits and hyphens that begin with a letter."
  }
}

variable "point_in_time_recovery" {
  type        = bool
  default     = false
  description = "Whether Firestore keeps every version of a record for seven days instead of one hour. It is charged as storage."
}

variable "firestore_location" {
  type        = string
  default     = null
  description = "Location of the database, such as eur3 or nam5; null: the region. It cannot be changed later."
}

variable "firestore_indexes_file" {
  type        = string
  default     = null
  description = "Path of firestore.indexes.json, if the module is outside of the repository."
}

variable "scheduler_region" {
  type        = string
  default     = null
  description = "Region of Cloud Scheduler, if it is not available in the region of the worker; null: the region."
}

variable "events_table" {
  type = object({
    dataset  = string
    table    = optional(string, "events")
    location = optional(string)
  })
  default     = null
  description = "A BigQuery dataset and table to create for all events; null: none. Location null: the region."
}

variable "message_retention_days" {
  type        = number
  default     = 31
  description = "How long Pub/Sub keeps unacknowledged messages: jobs, dead letters and events. They contain prompts. More than max_job_age_days."

  validation {
    condition     = var.message_retention_days >= 2 && var.message_retention_days <= 31
    error_message = "message_retention_days must be 2 to 31: Pub/Sub keeps a message for at most 31 days."
  }
}

variable "deletion_protection" {
  type        = bool
  default     = true
  description = "Whether the service, the database and the table of events are protected from a destroy."
}

# Alerts and audit logs.

variable "notification_channels" {
  type        = list(string)
  default     = []
  description = "Names of the Cloud Monitoring channels that alerts go to."
}

variable "alerts" {
  type        = bool
  default     = true
  description = "Whether to create the alert policies and the dashboard."
}

variable "audit_logs" {
  type        = bool
  default     = false
  description = "Whether Google logs who reads and changes records, and who reads topics and subscriptions. Reads and writes of the worker are not logged. This replaces the project's audit log settings of Pub/Sub and Firestore, and is charged as logs."
}

variable "alert_on_delivery_changes" {
  type        = bool
  default     = false
  description = "Whether to create an alert for every change of a subscription or its push endpoint, and for every new subscription of a topic of this module. Pause, resume and an apply raise it as well."
}

variable "dead_letters_per_hour" {
  type        = number
  default     = 10
  description = "Number of dead letters in an hour above which an alert is raised."
}

variable "backlog_seconds" {
  type        = number
  default     = 3600
  description = "Age in seconds of the oldest waiting job above which an alert is raised."
}
