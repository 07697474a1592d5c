locals {
  rate = "[$${__interval}]"

  charts = [
    { title = "Jobs by outcome", query = "sum by (outcome) (increase(${local.series.jobs}{${local.run}}${local.rate}))" },
    { title = "Deferred, by reason", query = "sum by (reason) (increase(${local.series.deferred}{${local.run}}${local.rate}))" },
    { title = "Dead letters by reason", query = "sum by (reason) (increase(${local.series.dead_letters}{${local.run}}${local.rate}))" },
    { title = "Token failures", query = "sum by (leg, kind) (increase(${local.series.token_failures}{${local.run}}${local.rate}))" },
    { title = "Circuits opened", query = "sum by (deployment, reason) (increase(${local.series.circuits_opened}{${local.run}}${local.rate}))" },
    { title = "Jobs that wait", query = "sum by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${local.jobs_subscriptions}\"})" },
    { title = "Age of the oldest job that waits, s", query = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${local.jobs_subscriptions}\"})" },
    { title = "Instances", query = "sum by (state) (run_googleapis_com:container_instance_count{${local.run},service_name=\"${google_cloud_run_v2_service.worker.name}\"})" },
  ]
}

resource "google_monitoring_dashboard" "worker" {
  count = var.alerts ? 1 : 0

  project = var.project
  dashboard_json = jsonencode({
    displayName = var.name
    gridLayout = {
      columns = "2"
      widgets = [for chart in local.charts : {
        title = chart.title
        xyChart = {
          dataSets = [{ plotType = "LINE", timeSeriesQuery = { prometheusQuery = chart.query } }]
        }
      }]
    }
  })

  depends_on = [google_project_service.needed]
}
