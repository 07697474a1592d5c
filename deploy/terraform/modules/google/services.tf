locals {
  services = toset([
    "bigquery.googleapis.com",
    "cloudscheduler.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    # Operators ask for the worker's ID token there.
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
  ])
}

resource "google_project_service" "needed" {
  for_each = var.enable_services ? local.services : toset([])

  project            = var.project
  service            = each.key
  disable_on_destroy = false
}

# Google's own accounts are named after the project's number.
data "google_project" "this" {
  project_id = var.project
}
