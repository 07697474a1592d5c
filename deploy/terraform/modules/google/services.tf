locals {
  services = toset([
    "bigquery.googleapis.com",
    "cloudscheduler.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    # Operators get the worker's ID token there.
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

# The names of Google's service agents contain the project number.
data "google_project" "this" {
  project_id = var.project
}
