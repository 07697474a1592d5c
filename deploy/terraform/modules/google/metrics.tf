# Metrics of the worker's log. Each line is JSON; `outcome` is the result of a push, or the state of a token or a circuit.

locals {
  of_worker = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloud_run_v2_service.worker.name}\""

  metrics = {
    jobs = {
      description = "Finished deliveries, by the outcome of the job."
      filter      = "${local.of_worker} AND jsonPayload.outcome = (\"succeeded\" OR \"dead_lettered\" OR \"cancelled\" OR \"expired\" OR \"repeated\" OR \"superseded\" OR \"conflict\" OR \"poison\")"
      labels      = { outcome = "outcome", deployment = "deployment" }
    }
    deferred = {
      description = "Deferred deliveries, by reason."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"retry\""
      labels      = { reason = "reason" }
    }
    dead_letters = {
      description = "Recorded dead letters, by reason."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"dead_letter_recorded\""
      labels      = { reason = "why" }
    }
    rescued = {
      description = "Healthy jobs that Pub/Sub forwarded to the dead-letter topic and that were published again."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"rescued\""
      labels      = {}
    }
    token_failures = {
      description = "Failed attempts to get a token for Azure, by leg and kind."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"token_failure\""
      labels      = { leg = "leg", kind = "kind" }
    }
    circuits_opened = {
      description = "Opened circuits of deployments, by reason."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"circuit_opened\""
      labels      = { deployment = "deployment", reason = "reason" }
    }
    days_closed = {
      description = "Instances that start no more jobs today, because DAILY_TOKEN_LIMIT is reached."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"day_closed\""
      labels      = {}
    }
    batches_stopped = {
      description = "Batches that an instance stopped, because their first answers were the same refusal."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"batch_stopped\""
      labels      = {}
    }
    refused_pushes = {
      description = "Rejected pushes: not from the invoker, or for another audience."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"refused_push\""
      labels      = { status = "httpStatus" }
    }
    events_refused = {
      description = "Events that cannot be published and are not retried."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"event_refused\""
      labels      = {}
    }
    faults = {
      description = "Internal errors of the worker."
      filter      = "${local.of_worker} AND severity >= ERROR"
      labels      = {}
    }
    sweeps_refused = {
      description = "Records and batches that each sweep leaves out until they are fixed."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"sweep_refused\""
      labels      = {}
    }
    # A metric of Cloud Scheduler's log, because the worker cannot log a sweep that does not reach it.
    sweeps_failed = {
      description = "Sweeps that failed, or did not reach the worker."
      filter      = "resource.type = \"cloud_scheduler_job\" AND resource.labels.job_id = \"${google_cloud_scheduler_job.sweep.name}\" AND severity >= ERROR"
      labels      = {}
    }
  }

  # Their names in PromQL.
  series = {
    for name, metric in google_logging_metric.worker :
    name => "logging_googleapis_com:user_${replace(metric.name, "/[^A-Za-z0-9_]/", "_")}"
  }
}

resource "google_logging_metric" "worker" {
  for_each = local.metrics

  project     = var.project
  name        = "${var.name}/${each.key}"
  description = each.value.description
  filter      = each.value.filter

  label_extractors = { for label, field in each.value.labels : label => "EXTRACT(jsonPayload.${field})" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"

    dynamic "labels" {
      for_each = each.value.labels

      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  depends_on = [google_project_service.needed]
}
