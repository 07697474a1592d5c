# Two identities, and every grant there is, each with its reason. Nobody may call the service but the invoker.

resource "google_service_account" "worker" {
  project      = var.project
  account_id   = "${var.name}-worker"
  display_name = "Promptbridge: the worker, to Google and to Azure"

  depends_on = [google_project_service.needed]
}

resource "google_service_account" "invoker" {
  project      = var.project
  account_id   = "${var.name}-invoker"
  display_name = "Promptbridge: who pushes to the worker, and sweeps"

  depends_on = [google_project_service.needed]
}

locals {
  worker_member  = "serviceAccount:${google_service_account.worker.email}"
  invoker_member = "serviceAccount:${google_service_account.invoker.email}"
  pubsub_agent   = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  topics = {
    jobs        = google_pubsub_topic.jobs.name
    dead_letter = google_pubsub_topic.dead_letter.name
    events      = google_pubsub_topic.events.name
  }

  records_condition = "resource.name == \"projects/${var.project}/databases/${local.database}\""
}

# --- The invoker

# Pub/Sub and Cloud Scheduler call the worker as the invoker: Cloud Run lets nobody else in.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  project  = var.project
  location = google_cloud_run_v2_service.worker.location
  name     = google_cloud_run_v2_service.worker.name
  role     = "roles/run.invoker"
  member   = local.invoker_member
}

# --- The worker

# It publishes dead letters, events, and the jobs that it rescues from the dead letters.
resource "google_pubsub_topic_iam_member" "worker_publishes" {
  for_each = local.topics

  project = var.project
  topic   = each.value
  role    = "roles/pubsub.publisher"
  member  = local.worker_member
}

# It reads and writes records. The role can be given for a whole project alone; the condition keeps it to this database.
resource "google_project_iam_member" "worker_records" {
  project = var.project
  role    = "roles/datastore.user"
  member  = local.worker_member

  condition {
    title      = "promptbridge records"
    expression = local.records_condition
  }
}

# --- Pub/Sub's own account

# It forwards to the dead-letter topic what was delivered too often …
resource "google_pubsub_topic_iam_member" "pubsub_forwards" {
  project = var.project
  topic   = google_pubsub_topic.dead_letter.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

# … and acknowledges it where it came from. Without either, nothing is ever forwarded, and nobody is told.
resource "google_pubsub_subscription_iam_member" "pubsub_forwards" {
  for_each = google_pubsub_subscription.jobs

  project      = var.project
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# It makes the tokens of the invoker. In a project made since April 2021 it may do so anyway.
resource "google_service_account_iam_member" "pubsub_signs" {
  count = var.grant_token_creator ? 1 : 0

  service_account_id = google_service_account.invoker.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
}

# It writes events to their table.
resource "google_bigquery_table_iam_member" "pubsub_events" {
  for_each = local.events_table

  project    = var.project
  dataset_id = google_bigquery_table.events[each.key].dataset_id
  table_id   = google_bigquery_table.events[each.key].table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub_agent
}

# --- Those who submit jobs

# To publish is all there is to it: a publisher needs no database.
resource "google_pubsub_topic_iam_member" "submitters_publish" {
  for_each = var.submitters

  project = var.project
  topic   = google_pubsub_topic.jobs.name
  role    = "roles/pubsub.publisher"
  member  = each.key
}

# --- Those who operate it, by the promptbridge command

# submit and replay publish jobs. To the other topics they publish nothing, but doctor asks whether one may, and can ask
# that as its caller alone.
resource "google_pubsub_topic_iam_member" "operators_publish" {
  for_each = {
    for pair in setproduct(keys(local.topics), var.operators) : join(" ", pair) => { topic = pair[0], member = pair[1] }
  }

  project = var.project
  topic   = local.topics[each.value.topic]
  role    = "roles/pubsub.publisher"
  member  = each.value.member
}

# show, results, dead-letters, cancel and submit read and write records; pause notes where a subscription pushed to.
resource "google_project_iam_member" "operators_records" {
  for_each = var.operators

  project = var.project
  role    = "roles/datastore.user"
  member  = each.key

  condition {
    title      = "promptbridge records"
    expression = local.records_condition
  }
}

# pause, resume and doctor look for the subscriptions of a topic, which can be asked of a whole project alone. It shows no
# message.
resource "google_project_iam_member" "operators_look" {
  for_each = var.operators

  project = var.project
  role    = "roles/pubsub.viewer"
  member  = each.key
}

# doctor looks whether Pub/Sub has the grants by which it forwards dead letters.
resource "google_project_iam_custom_role" "doctor" {
  count = length(var.operators) > 0 ? 1 : 0

  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_doctor"
  title       = "Promptbridge: doctor"
  description = "Sees who has which roles on topics and subscriptions."
  permissions = ["pubsub.subscriptions.getIamPolicy", "pubsub.topics.getIamPolicy"]

  depends_on = [google_project_service.needed]
}

# Of Pub/Sub alone; who may call the service is seen by roles/run.viewer below.
resource "google_project_iam_member" "operators_see_grants" {
  for_each = var.operators

  project = var.project
  role    = google_project_iam_custom_role.doctor[0].name
  member  = each.key
}

# pause and resume change where a subscription pushes to. Any role of Google's that lets them would let them delete it, and
# take its messages, too.
resource "google_project_iam_custom_role" "pause" {
  count = length(var.operators) > 0 ? 1 : 0

  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_pause"
  title       = "Promptbridge: pause and resume"
  description = "Changes a push subscription, and neither deletes it nor takes its messages."
  permissions = ["pubsub.subscriptions.get", "pubsub.subscriptions.update"]

  depends_on = [google_project_service.needed]
}

# To be paused is for jobs alone.
resource "google_pubsub_subscription_iam_member" "operators_pause" {
  for_each = {
    for pair in setproduct(keys(local.filters), var.operators) : join(" ", pair) => { class = pair[0], member = pair[1] }
  }

  project      = var.project
  subscription = google_pubsub_subscription.jobs[each.value.class].name
  role         = google_project_iam_custom_role.pause[0].name
  member       = each.value.member
}

# resume lets a subscription push as the invoker again: whoever sets that has to be allowed to act as it.
resource "google_service_account_iam_member" "operators_resume" {
  for_each = var.operators

  service_account_id = google_service_account.invoker.name
  role               = "roles/iam.serviceAccountUser"
  member             = each.key
}

# doctor and token inspect ask for the worker's ID token, and for nothing else in its name.
resource "google_service_account_iam_member" "operators_doctor" {
  for_each = var.operators

  service_account_id = google_service_account.worker.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = each.key
}

# doctor --service reads the live settings, and who may call the service.
resource "google_cloud_run_v2_service_iam_member" "operators_look" {
  for_each = var.operators

  project  = var.project
  location = google_cloud_run_v2_service.worker.location
  name     = google_cloud_run_v2_service.worker.name
  role     = "roles/run.viewer"
  member   = each.key
}
