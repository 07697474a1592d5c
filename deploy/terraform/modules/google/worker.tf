# The worker, its settings, and how many of it there may be.

locals {
  # Cloud Run gives a request no more, and neither does Pub/Sub an answer: both are the most there is.
  ack_deadline_seconds = 600

  # A name, not an address: the service cannot know its own address when it is made.
  audience = "https://${var.name}-worker.${var.project}.internal"

  # The pushes that join another of their job or are deferred at once, dead letters, sweeps and probes.
  concurrency = var.max_in_flight + max(8, ceil(var.max_in_flight / 10))

  # A job under way takes up to five times its push: 512 MiB hold 32 MB of pushes, and 50 MB more for each further 512.
  # One step more than that leaves room for comfort.
  memory_mib = 512 * (2 + ceil(max(0, var.max_in_flight_bytes - 32000000) / 50000000))

  # Pub/Sub has about 3,000 pushes of a subscription under way at once when they take long, so more instances than hold
  # these would stand idle. So would those that the quota has no requests for; twice as many may be waiting for it.
  pushes_under_way   = 3000 * length(local.filters)
  quota_is_known     = alltrue([for each in var.deployments : each.rpm != null])
  requests_a_minute  = sum([for each in var.deployments : coalesce(each.rpm, 0)])
  asked_at_once      = local.quota_is_known ? 2 * local.requests_a_minute * var.job_seconds / 60 : local.pushes_under_way
  instances_of_quota = ceil(min(local.asked_at_once, local.pushes_under_way) / var.max_in_flight)
  max_instances      = coalesce(var.max_instances, max(2, var.min_instances, local.instances_of_quota))

  deployments = [for each in var.deployments : merge(
    { model = each.model, endpoint = each.endpoint, deployment = each.deployment, priority = each.priority },
    each.rpm == null ? {} : { rpm = each.rpm },
    each.tpm == null ? {} : { tpm = each.tpm },
    each.max_output_tokens == null ? {} : { maxOutputTokens = each.max_output_tokens },
  )]

  # What the rest of this module hangs on, or Azure.
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

  # What is null is left to the worker.
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

  # Cloud Run checks who calls, and lets nothing through unchecked. The worker relies on it (PUSH_AUTH): the signature that
  # it could check itself is removed on the way.
  invoker_iam_disabled = false

  # It takes tokens for this name beside those for its address.
  custom_audiences = [local.audience]

  template {
    service_account = google_service_account.worker.email

    # As long as the subscriptions wait: a shorter one would cut off answers that were paid for.
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

        # Paid for by the request: the worker has no timers, whatever it does is part of a request.
        cpu_idle          = true
        startup_cpu_boost = true
      }

      # A revision that cannot read its records never takes over from one that can. Four minutes, the most there is, let
      # the grants of a first apply become known.
      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 120

        http_get {
          path = "/readyz"
        }
      }

      # Says that the process lives and no more: an outage of the store is no reason to kill it.
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
      error_message = "record_ttl_days is less than max_job_age_days: a job that is delivered after its record is gone is paid for again."
    }
  }

  depends_on = [
    google_project_service.needed,
    google_firestore_database.default,
    google_project_iam_member.worker_records,
  ]
}
