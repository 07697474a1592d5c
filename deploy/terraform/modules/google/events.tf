# All events in a BigQuery table, written by Pub/Sub itself.

locals {
  events_table = var.events_table == null ? {} : { this = var.events_table }
}

resource "google_bigquery_dataset" "events" {
  for_each = local.events_table

  project    = var.project
  dataset_id = each.value.dataset
  location   = coalesce(each.value.location, var.region)

  depends_on = [google_project_service.needed]
}

# The columns that a BigQuery subscription without a schema writes. The data are a string: as JSON, BigQuery would reject
# numbers that it cannot store with all digits, and such a row would never be written.
resource "google_bigquery_table" "events" {
  for_each = local.events_table

  project             = var.project
  dataset_id          = google_bigquery_dataset.events[each.key].dataset_id
  table_id            = each.value.table
  deletion_protection = var.deletion_protection

  schema = jsonencode([
    { name = "subscription_name", type = "STRING", mode = "NULLABLE", description = "The subscription that wrote the row." },
    { name = "message_id", type = "STRING", mode = "NULLABLE", description = "Pub/Sub's own id of the message." },
    { name = "publish_time", type = "TIMESTAMP", mode = "NULLABLE", description = "When the event was published." },
    { name = "data", type = "STRING", mode = "NULLABLE", description = "The event's data: JSON." },
    { name = "attributes", type = "JSON", mode = "NULLABLE", description = "ce-id, ce-type, status, batch, metadata." },
  ])

  time_partitioning {
    type  = "DAY"
    field = "publish_time"
  }
}

resource "google_pubsub_subscription" "events_table" {
  for_each = local.events_table

  project                    = var.project
  name                       = "${var.name}-events-table"
  topic                      = google_pubsub_topic.events.id
  message_retention_duration = local.retention

  bigquery_config {
    table          = "${var.project}.${google_bigquery_table.events[each.key].dataset_id}.${google_bigquery_table.events[each.key].table_id}"
    write_metadata = true
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  # Pub/Sub checks its write permission when the subscription is created.
  depends_on = [google_bigquery_table_iam_member.pubsub_events]
}
