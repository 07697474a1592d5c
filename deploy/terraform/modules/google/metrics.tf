# Metrics of the worker's log. Each line is JSON; `outcome` is the result of a push, or the state of a token or a circuit.

locals {
  of_worker = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloud_run_v2_service.worker.name}\""

  metrics = {
    jobs = {
      description = "Deliveries that ended, by the outcome of the job."
      filter      = "${local.of_worker} AND jsonPayload.outcome = (\"succeeded\" OR \"dead_lettered\" OR \"cancelled\" OR \"expired\" OR \"repeated\" OR \"superseded\" OR \"conflict\" OR \"poison\")"
      labels      = { outcome = "outcome", deployment = "deployment" }
    }
    deferred = {
      description = "Deliveries that will be redelivered, by the reason."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"retry\""
      labels      = { reason = "reason" }
    }
    dead_letters = {
      description = "Dead letters that were recorded, by the reason."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"dead_letter_recorded\""
      labels      = { reason = "why" }
    }
    rescued = {
      description = "Healthy jobs that Pub/Sub gave up on and that were published again."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"rescued\""
      labels      = {}
    }
    token_failures = {
      description = "Failed attempts to get a token for Azure, by leg and by whether they can end by themselves."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"token_failure\""
      labels      = { leg = "leg", kind = "kind" }
    }
    circuits_opened = {
      description = "Circuits of deployments that opened, by the reason."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"circuit_opened\""
      labels      = { deployment = "deployment", reason = "reason" }
    }
    days_closed = {
      description = "Instances that start no more jobs today: DAILY_TOKEN_LIMIT is reached."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"day_closed\""
      labels      = {}
    }
    refused_pushes = {
      description = "Pushes that were not by the invoker, or for another audience."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"refused_push\""
      labels      = { status = "httpStatus" }
    }
    events_refused = {
      description = "Events that can never be published."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"event_refused\""
      labels      = {}
    }
    faults = {
      description = "Faults of the worker itself."
      filter      = "${local.of_worker} AND severity >= ERROR"
      labels      = {}
    }
    sweeps_refused = {
      description = "Records and batches that every sweep leaves out until they are fixed."
      filter      = "${local.of_worker} AND jsonPayload.outcome = \"sweep_refused\""
      labels      = {}
    }
    # The worker logs nothing of a sweep that does not reach it.
    sweeps_failed = {
      description = "Sweeps that failed, or did not reach the worker."
      filter      = "resource.type = \"cloud_scheduler_job\" AND resource.labels.job_id = \"${google_cloud_scheduler_job.sweep.name}\" AND severity >= ERROR"
      labels      = {}
    }
  }

  # As PromQL knows them.
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
