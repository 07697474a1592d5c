# The worker, its settings, and its number of instances.

locals {
  # The longest ack deadline of Pub/Sub. The request timeout of the service is the same.
  ack_deadline_seconds = 600

  # A name, not an address, because the address of the service is unknown when it is created.
  audience = "https://${var.name}-worker.${var.project}.internal"

  # In addition to jobs: duplicate pushes, pushes that are deferred at once, dead letters, sweeps and probes.
  concurrency = var.max_in_flight + max(8, ceil(var.max_in_flight / 10))

  # A running job needs up to five times the memory of its push: 512 MiB are enough for 32 MB of pushes, and each further
  # 512 MiB for 50 MB more. One more step is the reserve.
  memory_mib = 512 * (2 + ceil(max(0, var.max_in_flight_bytes - 32000000) / 50000000))

  # Pub/Sub keeps about 3,000 slow pushes of a subscription under way at once. More instances than these pushes need would be
  # idle, and so would instances beyond the quota. The factor 2 allows for jobs that wait for the quota.
  pushes_under_way   = 3000 * length(local.filters)
  quota_is_known     = alltrue([for each in var.deployments : each.rpm != null])
  requests_a_minute  = sum([for each in var.deployments : coalesce(each.rpm, 0)])
  asked_at_once      = local.quota_is_known ? 2 * local.requests_a_minute * var.job_seconds / 60 : local.pushes_under_way
  instances_of_quota = ceil(min(local.asked_at_once, local.pushes_under_way) / var.max_in_flight)
  max_instances      = coalesce(var.max_instances, max(2, var.min_instances, local.instances_of_quota))

  deployments = [for each in var.deployments : merge(
    { model = each.model, endpoint = each.endpoint, deployment = each.deployment, priority = each.priority },
    each.name == null ? {} : { name = each.name },
    each.rpm == null ? {} : { rpm = each.rpm },
    each.tpm == null ? {} : { tpm = each.tpm },
    each.max_output_tokens == null ? {} : { maxOutputTokens = each.max_output_tokens },
  )]

  # Settings that this module or Azure depends on.
  fixed_settings = {
    GOOGLE_CLOUD_PROJECT = var.project
    AZURE_TENANT_ID      = var.azure_tenant_id
    AZURE_CLIENT_ID      = var.azure_client_id
    TOKEN_SOURCE         = "metadata-server"
    AZURE_CLOUD          = var.azure_cloud
    DEPLOYMENTS          = jsonencode(local.deployments)
    PUSH_AUTH            = "cloud-run-iam"
    PUSH_AUDIENCE        = local.audience
    PUSH_SERVICE_ACCOUNT = google_service_account.invoker.email
    JOBS_TOPIC           = google_pubsub_topic.jobs.name
    DEAD_LETTER_TOPIC    = google_pubsub_topic.dead_letter.name
    EVENTS_TOPIC         = google_pubsub_topic.events.name
    STORE                = "firestore"
    FIRESTORE_DATABASE   = local.database
    ACK_DEADLINE_SECONDS = local.ack_deadline_seconds
    MAX_IN_FLIGHT        = var.max_in_flight
    MAX_IN_FLIGHT_BYTES  = var.max_in_flight_bytes
    MAX_JOB_AGE_DAYS     = var.max_job_age_days
  }

  # Null: the worker's default.
  free_settings = {
    OPENAI_API_VERSION    = var.openai_api_version
    ALLOW_CUSTOM_HOSTS    = var.allow_custom_hosts ? "true" : null
    MODEL_TIMEOUT_SECONDS = var.model_timeout_seconds
    MAX_ATTEMPTS          = var.max_attempts
    ON_UNKNOWN            = var.on_unknown
    MAX_OUTPUT_TOKENS     = var.max_output_tokens
    ALLOW_BODY_FIELDS     = var.allow_body_fields
    DAILY_TOKEN_LIMIT     = var.daily_token_limit
    RECORD_TTL_DAYS       = var.record_ttl_days
    LOG_LEVEL             = var.log_level
  }

  settings = merge(local.fixed_settings, { for name, value in local.free_settings : name => value if value != null })
}

resource "google_cloud_run_v2_service" "worker" {
  project             = var.project
  location            = var.region
  name                = "${var.name}-worker"
  deletion_protection = var.deletion_protection

  # Pub/Sub and Cloud Scheduler of this project count as internal. Requests from elsewhere are rejected before IAM is checked.
  ingress = "INGRESS_TRAFFIC_INTERNAL_ONLY"

  # Cloud Run checks every caller. The worker relies on this check (PUSH_AUTH), because Cloud Run removes the signature that
  # the worker could check itself.
  invoker_iam_disabled = false

  # The service accepts tokens for this audience, in addition to its address.
  custom_audiences = [local.audience]

  template {
    service_account = google_service_account.worker.email

    # The same as the ack deadline of the subscriptions. A shorter timeout would drop answers that were paid for.
    timeout                          = "${local.ack_deadline_seconds}s"
    max_instance_request_concurrency = local.concurrency

    scaling {
      min_instance_count = var.min_instances
      max_instance_count = local.max_instances
    }

    containers {
      image = var.image

      ports {
        container_port = 8080
      }

      resources {
        limits = {
          cpu    = "1"
          memory = "${local.memory_mib}Mi"
        }

        # The processor is needed only during requests, because the worker has no background work.
        cpu_idle          = true
        startup_cpu_boost = true
      }

      # A revision that cannot read its records must not replace one that can. Four minutes is the maximum, and gives the
      # grants of a first apply time to become effective.
      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 120

        http_get {
          path = "/readyz"
        }
      }

      # Only shows that the process is alive. It must not be killed during an outage of the store.
      liveness_probe {
        period_seconds    = 60
        timeout_seconds   = 10
        failure_threshold = 3

        http_get {
          path = "/healthz"
        }
      }

      dynamic "env" {
        for_each = local.settings

        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = coalesce(var.record_ttl_days, var.max_job_age_days) >= var.max_job_age_days
      error_message = "record_ttl_days must be at least max_job_age_days. Otherwise a job that is delivered after its record has expired is paid for again."
    }
  }

  depends_on = [
    google_project_service.needed,
    google_firestore_database.default,
    google_project_iam_member.worker_records,
  ]
}
