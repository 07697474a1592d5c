# Calls the sweep every minute: it handles jobs past their deadline, leases of dead instances, and the counts of batches.
resource "google_cloud_scheduler_job" "sweep" {
  project  = var.project
  region   = coalesce(var.scheduler_region, var.region)
  name     = "${var.name}-sweep"
  schedule = "* * * * *"

  # A sweep takes at most 30 seconds, and an instance may have to start first.
  attempt_deadline = "60s"

  # One retry is enough, because the next sweep follows a minute later.
  retry_config {
    retry_count          = 1
    min_backoff_duration = "10s"
    max_backoff_duration = "10s"
  }

  http_target {
    http_method = "POST"
    uri         = "${google_cloud_run_v2_service.worker.uri}/sweep"

    oidc_token {
      service_account_email = google_service_account.invoker.email
      audience              = local.audience
    }
  }

  depends_on = [google_project_service.needed]
}
