# Topics, and the subscriptions that push to the worker.

locals {
  # Pub/Sub acknowledges a message that no filter matches. So the last filter is the exact complement of the others: it
  # matches any other priority, and none. A filter cannot be changed: a new filter needs a new subscription, and messages
  # that wait in the old one are lost.
  filters = {
    high   = "attributes.\"pb-priority\" = \"high\""
    low    = "attributes.\"pb-priority\" = \"low\""
    normal = "NOT attributes.\"pb-priority\" = \"high\" AND NOT attributes.\"pb-priority\" = \"low\""
  }

  # How long Pub/Sub keeps an unacknowledged message.
  retention = "${var.message_retention_days * 86400}s"
}

resource "google_pubsub_topic" "jobs" {
  project = var.project
  name    = "${var.name}-jobs"

  depends_on = [google_project_service.needed]
}

resource "google_pubsub_topic" "dead_letter" {
  project = var.project
  name    = "${var.name}-dead-letter"

  depends_on = [google_project_service.needed]
}

resource "google_pubsub_topic" "events" {
  project = var.project
  name    = "${var.name}-events"

  depends_on = [google_project_service.needed]
}

resource "google_pubsub_subscription" "jobs" {
  for_each = local.filters

  project                    = var.project
  name                       = "${var.name}-jobs-${each.key}"
  topic                      = google_pubsub_topic.jobs.id
  filter                     = each.value
  ack_deadline_seconds       = local.ack_deadline_seconds
  message_retention_duration = local.retention

  push_config {
    push_endpoint = "${google_cloud_run_v2_service.worker.uri}/push"

    oidc_token {
      service_account_email = google_service_account.invoker.email
      audience              = local.audience
    }
  }

  # Without it, deferred messages are redelivered at once.
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  # Enough for an outage of about 16 hours. With fewer attempts, healthy jobs would pass through the dead-letter topic.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letter.id
    max_delivery_attempts = 100
  }

  # Never expires. By default a subscription is deleted after 31 idle days.
  expiration_policy {
    ttl = ""
  }

  lifecycle {
    precondition {
      condition     = var.message_retention_days > var.max_job_age_days
      error_message = "message_retention_days must be more than max_job_age_days. Otherwise Pub/Sub drops jobs that may still run, and they are not recorded."
    }
  }
}

# There is no dead-letter policy, because there is no further topic for these messages.
resource "google_pubsub_subscription" "dead_letter" {
  project                    = var.project
  name                       = "${var.name}-dead-letter-worker"
  topic                      = google_pubsub_topic.dead_letter.id
  ack_deadline_seconds       = local.ack_deadline_seconds
  message_retention_duration = local.retention

  push_config {
    push_endpoint = "${google_cloud_run_v2_service.worker.uri}/dead-letter"

    oidc_token {
      service_account_email = google_service_account.invoker.email
      audience              = local.audience
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }
}
