# Every minute: jobs past their deadline, leases of instances that died, the counts of batches.
resource "google_cloud_scheduler_job" "sweep" {
  project  = var.project
  region   = coalesce(var.scheduler_region, var.region)
  name     = "${var.name}-sweep"
  schedule = "* * * * *"

  # A sweep takes 30 seconds at most, and an instance may have to start first.
  attempt_deadline = "60s"

  # One that fails is followed by the next anyway.
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
