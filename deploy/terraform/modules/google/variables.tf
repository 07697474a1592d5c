variable "project" {
  type        = string
  description = "Id of the project that everything is made in."
}

variable "region" {
  type        = string
  description = "Region of the worker, and of Cloud Scheduler."
}

variable "image" {
  type        = string
  description = "The worker's image, best by its digest: REGION-docker.pkg.dev/PROJECT/REPOSITORY/promptbridge@sha256:…"
}

variable "name" {
  type        = string
  default     = "promptbridge"
  description = "What the names of all resources begin with."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.name))
    error_message = "The name has 3 to 22 lower-case letters, digits and hyphens: a service account's name has no room for more."
  }
}

variable "enable_services" {
  type        = bool
  default     = true
  description = "Whether to enable the project's APIs. None is disabled by a destroy."
}

# Who the worker is in Azure, and what it asks there.

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
    error_message = "One of public, us-government and china."
  }
}

variable "deployments" {
  type = list(object({
    model             = string
    endpoint          = string
    deployment        = string
    priority          = optional(number, 1)
    rpm               = optional(number)
    tpm               = optional(number)
    max_output_tokens = optional(number)
  }))
  description = "The Azure OpenAI deployments. With rpm, their requests a minute, the number of instances follows the quota."

  validation {
    condition     = length(var.deployments) > 0
    error_message = "At least one deployment."
  }

  validation {
    condition     = alltrue([for each in var.deployments : !can(regex("(?i)^https://([^/:]+\\.)?api\\.cognitive\\.(microsoft|azure)\\.", each.endpoint))])
    error_message = "The address of a region takes no Entra tokens: give the resource a custom subdomain, and use https://NAME.openai.azure.com."
  }

  validation {
    condition     = length(distinct([for each in var.deployments : [each.model, each.endpoint, each.deployment]])) == length(var.deployments)
    error_message = "The same model and deployment stands there twice."
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
  description = "Whether tokens may be sent to endpoints that are no hosts of the Azure cloud, such as API Management: they can read the tokens."
}

# Who may do what.

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
  description = "IAM members that may use the promptbridge command: submit, show, results, cancel, dead-letters, and doctor without the worker's identity. They read and write records, with prompts and answers. The next two sets allow more."

  validation {
    condition     = alltrue([for member in var.operators : !can(regex("(?i)^\\s*all(authenticated)?users\\s*$|goog/public:", member))])
    error_message = "operators names everyone: allUsers and allAuthenticatedUsers are refused. Name accounts or groups, such as serviceAccount:EMAIL, user:EMAIL or group:EMAIL."
  }
}

# Rights by which more can be done than operating: only those who are named here have them.

variable "pause_operators" {
  type        = set(string)
  default     = []
  description = "Those of operators that may also pause and resume. Each of them can change where jobs are pushed to, and as whom: that is enough to redirect all messages, and with them the tokens that Pub/Sub makes as the invoker."

  validation {
    condition     = alltrue([for member in var.pause_operators : !can(regex("(?i)^\\s*all(authenticated)?users\\s*$|goog/public:", member))])
    error_message = "pause_operators names everyone: allUsers and allAuthenticatedUsers are refused. Name accounts or groups, such as serviceAccount:EMAIL, user:EMAIL or group:EMAIL."
  }
}

variable "worker_token_operators" {
  type        = set(string)
  default     = []
  description = "Those of operators that may also have the worker's ID token made, for doctor and token inspect. Each of them can be the worker to Azure, and to all else that trusts this token."

  validation {
    condition     = alltrue([for member in var.worker_token_operators : !can(regex("(?i)^\\s*all(authenticated)?users\\s*$|goog/public:", member))])
    error_message = "worker_token_operators names everyone: allUsers and allAuthenticatedUsers are refused. Name accounts or groups, such as serviceAccount:EMAIL, user:EMAIL or group:EMAIL."
  }
}

variable "doctor_users" {
  type        = set(string)
  default     = []
  description = "IAM members that may run the doctor as a service account of its own, NAME-doctor, which is made for them. It reads settings, grants, subscriptions and records, with prompts and answers, and changes nothing."

  validation {
    condition     = alltrue([for member in var.doctor_users : !can(regex("(?i)^\\s*all(authenticated)?users\\s*$|goog/public:", member))])
    error_message = "doctor_users names everyone: allUsers and allAuthenticatedUsers are refused. Name accounts or groups, such as serviceAccount:EMAIL, user:EMAIL or group:EMAIL."
  }
}

variable "grant_token_creator" {
  type        = bool
  default     = false
  description = "Whether Pub/Sub needs to be allowed to sign as the invoker: true for a project made before April 2021."
}

# What the worker may use.

variable "max_in_flight" {
  type        = number
  default     = 100
  description = "Jobs under way at once on an instance."

  validation {
    condition     = var.max_in_flight >= 1 && var.max_in_flight <= 900
    error_message = "1 to 900: Cloud Run takes 1,000 requests at once, and other requests than jobs need room."
  }
}

variable "max_in_flight_bytes" {
  type        = number
  default     = 32000000
  description = "Bytes of pushes held at once on an instance; its memory follows them."

  validation {
    condition     = var.max_in_flight_bytes >= 1000000 && var.max_in_flight_bytes <= 332000000
    error_message = "1,000,000 to 332,000,000: one processor has 4 GiB of memory at most."
  }
}

variable "min_instances" {
  type        = number
  default     = 0
  description = "Instances that are kept when there is nothing to do."
}

variable "max_instances" {
  type        = number
  default     = null
  description = "The most instances; null: as many as the quota and Pub/Sub can keep busy."
}

variable "job_seconds" {
  type        = number
  default     = 10
  description = "How long the model takes for a job, roughly: with the deployments' rpm it gives the number of instances."
}

variable "max_job_age_days" {
  type        = number
  default     = 7
  description = "How old a job may become that Pub/Sub gives up on again and again."

  validation {
    condition     = var.max_job_age_days >= 1 && var.max_job_age_days <= 30
    error_message = "1 to 30: Pub/Sub keeps a message for 31 days at most."
  }
}

# Settings of the worker that nothing else here hangs on. Null: the worker's own default, as its README tells it.

variable "model_timeout_seconds" {
  type        = number
  default     = null
  description = "MODEL_TIMEOUT_SECONDS: the most that one attempt may take."

  validation {
    condition     = coalesce(var.model_timeout_seconds, 1) >= 1 && coalesce(var.model_timeout_seconds, 1) <= 290
    error_message = "1 to 290: Node's own client gives up after 300 seconds."
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
  description = "MAX_OUTPUT_TOKENS: the most output tokens a job may ask for."
}

variable "allow_body_fields" {
  type        = string
  default     = null
  description = "ALLOW_BODY_FIELDS: what bodies may ask for beyond an answer, by name, separated by commas."
}

variable "daily_token_limit" {
  type        = number
  default     = null
  description = "DAILY_TOKEN_LIMIT: the tokens of a day, in UTC, after which no job is started; not exact."
}

variable "record_ttl_days" {
  type        = number
  default     = null
  description = "RECORD_TTL_DAYS: how long a settled record is kept, and a dead letter; at least max_job_age_days."
}

variable "log_level" {
  type        = string
  default     = null
  description = "LOG_LEVEL: debug, info, warn or error."
}

# Where records and events go.

variable "create_database" {
  type        = bool
  default     = true
  description = "Whether to make the Firestore database; false where there is one in native mode."
}

variable "firestore_database" {
  type        = string
  default     = null
  description = "Id of the Firestore database. Null: NAME-records where it is made, (default) where it is there already. An installation keeps the database that it was made with: another id is refused."

  validation {
    condition     = var.firestore_database == null || can(regex("^([(]default[)]|[a-z][a-z0-9-]{2,61}[a-z0-9])$", var.firestore_database))
    error_message = "firestore_database is (default), or 4 to 63 lower-case letters, digits and hyphens that begin with a letter."
  }
}

variable "point_in_time_recovery" {
  type        = bool
  default     = false
  description = "Whether Firestore keeps every version of a record for seven days, to read or to copy back, instead of for an hour. It is charged as storage."
}

variable "firestore_location" {
  type        = string
  default     = null
  description = "Location of the database, such as eur3 or nam5, for good; null: the region."
}

variable "firestore_indexes_file" {
  type        = string
  default     = null
  description = "Path of firestore.indexes.json, where the module lies outside of the repository."
}

variable "scheduler_region" {
  type        = string
  default     = null
  description = "Region of Cloud Scheduler, where the worker's has none; null: the region."
}

variable "events_table" {
  type = object({
    dataset  = string
    table    = optional(string, "events")
    location = optional(string)
  })
  default     = null
  description = "A BigQuery dataset and table to make and to write all events to; null: none. Location null: the region."
}

variable "message_retention_days" {
  type        = number
  default     = 31
  description = "How long Pub/Sub keeps a job, a dead letter or an event that nothing takes; prompts are in them. More than max_job_age_days."

  validation {
    condition     = var.message_retention_days >= 2 && var.message_retention_days <= 31
    error_message = "message_retention_days is 2 to 31: Pub/Sub keeps a message for 31 days at most."
  }
}

variable "deletion_protection" {
  type        = bool
  default     = true
  description = "Whether the service, the database and the table of events are kept from being destroyed."
}

# Who is told.

variable "notification_channels" {
  type        = list(string)
  default     = []
  description = "Names of the Cloud Monitoring channels that alerts go to."
}

variable "alerts" {
  type        = bool
  default     = true
  description = "Whether to make the alert policies and the dashboard."
}

variable "audit_logs" {
  type        = bool
  default     = false
  description = "Whether Google logs who reads and changes records, and who looks at topics and subscriptions; not the worker's own reads and writes. It replaces what the project has set for these logs of Pub/Sub and Firestore, and is charged as logs."
}

variable "alert_on_delivery_changes" {
  type        = bool
  default     = false
  description = "Whether to make an alert on every change of a subscription and of its push endpoint, and on every new subscription of a topic here. Pause, resume and an apply raise it as well."
}

variable "dead_letters_per_hour" {
  type        = number
  default     = 10
  description = "Dead letters in an hour beyond which somebody is told."
}

variable "backlog_seconds" {
  type        = number
  default     = 3600
  description = "Age of the oldest job that waits beyond which somebody is told."
}
