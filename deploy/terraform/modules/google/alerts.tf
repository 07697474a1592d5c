# Conditions that need an operator. A failure that ends without a change and costs nothing has no alert.

locals {
  run       = "monitored_resource=\"cloud_run_revision\""
  scheduler = "monitored_resource=\"cloud_scheduler_job\""

  jobs_subscriptions = join("|", [for subscription in google_pubsub_subscription.jobs : subscription.name])

  alerts_wanted = {
    token = {
      title = "no token for Azure until the set-up is fixed"
      query = "sum(increase(${local.series.token_failures}{${local.run},kind=\"configuration\"}[10m])) > 0"
      lasts = "0s"
      fix   = "Jobs wait and nothing is lost. `promptbridge token failures` shows how to fix it. `promptbridge doctor` shows whether it is fixed."
    }
    dead_letters = {
      title = "more than ${var.dead_letters_per_hour} dead letters in an hour"
      query = "sum(increase(${local.series.dead_letters}{${local.run}}[1h])) > ${var.dead_letters_per_hour}"
      lasts = "0s"
      fix   = "`promptbridge dead-letters list` counts them by reason and shows how to fix them. `promptbridge dead-letters replay` runs them again."
    }
    backlog = {
      title = "a job has waited for ${var.backlog_seconds} s"
      query = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${local.jobs_subscriptions}\"}) > ${var.backlog_seconds}"
      lasts = "300s"
      fix   = "The dashboard shows why jobs are deferred. `throttled` means that the quota is used up. Jobs also wait after `promptbridge pause`."
    }
    circuits = {
      title = "a deployment of Azure OpenAI keeps failing, or denies the worker"
      query = "sum by (deployment) (increase(${local.series.circuits_opened}{${local.run}}[15m])) > 5 or sum by (deployment) (increase(${local.series.circuits_opened}{${local.run},reason=\"forbidden\"}[15m])) > 0"
      lasts = "0s"
      fix   = "`promptbridge doctor` calls each deployment as the worker does, and shows how to fix what fails."
    }
    day = {
      title = "no more jobs are started today"
      query = "sum(increase(${local.series.days_closed}{${local.run}}[10m])) > 0"
      lasts = "0s"
      fix   = "DAILY_TOKEN_LIMIT is reached. Jobs wait until midnight UTC, or until you raise the limit."
    }
    dead_letter_pushes = {
      title = "dead letters cannot be recorded"
      query = "sum(increase(pubsub_googleapis_com:subscription_push_request_count{monitored_resource=\"pubsub_subscription\",subscription_id=\"${google_pubsub_subscription.dead_letter.name}\",response_class!=\"ack\"}[15m])) > 0"
      lasts = "900s"
      fix   = "The worker rejects pushes of dead letters only while Firestore or the jobs topic is unavailable. `promptbridge doctor` checks both."
    }
    sweeps = {
      title = "the sweep fails"
      query = "sum(increase(${local.series.sweeps_failed}{${local.scheduler}}[10m])) >= 5"
      lasts = "0s"
      fix   = "Deadlines and batches are not processed. The log of the Cloud Scheduler job shows the status: 401 and 403 mean a missing grant or a wrong audience, 503 means that Firestore is unavailable."
    }
    sweeps_refused = {
      title = "the sweep leaves something out"
      query = "sum(increase(${local.series.sweeps_refused}{${local.run}}[10m])) > 0"
      lasts = "600s"
      fix   = "The log shows which records or batches are left out, and why. `promptbridge doctor` checks for missing indexes."
    }
    store = {
      title = "records cannot be read or written"
      query = "sum(increase(${local.series.deferred}{${local.run},reason=\"store\"}[5m])) > 0"
      lasts = "300s"
      fix   = "Jobs wait. See https://status.cloud.google.com. If Google reports no outage, run `promptbridge doctor`, which checks the store."
    }
    refused_pushes = {
      title = "pushes are refused"
      query = "sum(increase(${local.series.refused_pushes}{${local.run}}[10m])) > 0"
      lasts = "0s"
      fix   = "The log shows the expected and the received audience and service account. `promptbridge doctor` compares them with the subscriptions."
    }
    faults = {
      title = "an internal error of the worker"
      query = "sum(increase(${local.series.faults}{${local.run}}[10m])) > 0"
      lasts = "0s"
      fix   = "The messages will be redelivered. The log has the error."
    }
  }
}

resource "google_monitoring_alert_policy" "worker" {
  for_each = var.alerts ? local.alerts_wanted : {}

  project               = var.project
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = each.value.title

    condition_prometheus_query_language {
      query               = each.value.query
      duration            = each.value.lasts
      evaluation_interval = "60s"

      # A log metric exists only after its first log line.
      disable_metric_validation = true
    }
  }

  documentation {
    content   = each.value.fix
    mime_type = "text/markdown"
  }

  depends_on = [google_project_service.needed]
}
