# Conditions that a person has to know of. A failure that ends by itself and costs nothing has no alert.

locals {
  run       = "monitored_resource=\"cloud_run_revision\""
  scheduler = "monitored_resource=\"cloud_scheduler_job\""

  jobs_subscriptions = join("|", [for subscription in google_pubsub_subscription.jobs : subscription.name])

  alerts_wanted = {
    token = {
      title = "no token for Azure until the set-up is fixed"
      query = "sum(increase(${local.series.token_failures}{${local.run},kind=\"configuration\"}[10m])) > 0"
      lasts = "0s"
      fix   = "Jobs wait and nothing is lost. `promptbridge token failures` says how to fix it, `promptbridge doctor` whether it is fixed."
    }
    dead_letters = {
      title = "more than ${var.dead_letters_per_hour} dead letters in an hour"
      query = "sum(increase(${local.series.dead_letters}{${local.run}}[1h])) > ${var.dead_letters_per_hour}"
      lasts = "0s"
      fix   = "`promptbridge dead-letters list` says how many failed for each reason, and how to fix them; `promptbridge dead-letters replay` runs them again."
    }
    backlog = {
      title = "a job has waited for ${var.backlog_seconds} s"
      query = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${local.jobs_subscriptions}\"}) > ${var.backlog_seconds}"
      lasts = "300s"
      fix   = "The dashboard shows the reasons for which jobs are deferred. `throttled`: the quota is used up. Also after `promptbridge pause`."
    }
    circuits = {
      title = "a deployment of Azure OpenAI keeps failing, or denies the worker"
      query = "sum by (deployment) (increase(${local.series.circuits_opened}{${local.run}}[15m])) > 5 or sum by (deployment) (increase(${local.series.circuits_opened}{${local.run},reason=\"forbidden\"}[15m])) > 0"
      lasts = "0s"
      fix   = "`promptbridge doctor` asks each deployment as the worker does."
    }
    day = {
      title = "no more jobs are started today"
      query = "sum(increase(${local.series.days_closed}{${local.run}}[10m])) > 0"
      lasts = "0s"
      fix   = "DAILY_TOKEN_LIMIT is reached: jobs wait until midnight, UTC. Raise it, or let them wait."
    }
    dead_letter_pushes = {
      title = "dead letters cannot be recorded"
      query = "sum(increase(pubsub_googleapis_com:subscription_push_request_count{monitored_resource=\"pubsub_subscription\",subscription_id=\"${google_pubsub_subscription.dead_letter.name}\",response_class!=\"ack\"}[15m])) > 0"
      lasts = "900s"
      fix   = "The worker answers so only while Firestore or the jobs topic is away. `promptbridge doctor` looks at both."
    }
    sweeps = {
      title = "the sweep fails"
      query = "sum(increase(${local.series.sweeps_failed}{${local.scheduler}}[10m])) >= 5"
      lasts = "0s"
      fix   = "Deadlines and batches are not looked at. The log of the Cloud Scheduler job says why; 401 and 403 are a grant or an audience, 503 is Firestore."
    }
    sweeps_refused = {
      title = "the sweep leaves something out"
      query = "sum(increase(${local.series.sweeps_refused}{${local.run}}[10m])) > 0"
      lasts = "600s"
      fix   = "The log says which records or batches, and why; `promptbridge doctor` looks for indexes that are missing."
    }
    store = {
      title = "records cannot be read or written"
      query = "sum(increase(${local.series.deferred}{${local.run},reason=\"store\"}[5m])) > 0"
      lasts = "300s"
      fix   = "Jobs wait. If https://status.cloud.google.com knows of nothing, `promptbridge doctor` looks at the store."
    }
    refused_pushes = {
      title = "pushes are refused"
      query = "sum(increase(${local.series.refused_pushes}{${local.run}}[10m])) > 0"
      lasts = "0s"
      fix   = "The log says which audience and service account were expected, and which came; `promptbridge doctor` compares them."
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

      # A metric of the log is known only when its first line has been written.
      disable_metric_validation = true
    }
  }

  documentation {
    content   = each.value.fix
    mime_type = "text/markdown"
  }

  depends_on = [google_project_service.needed]
}
