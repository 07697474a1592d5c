# Two identities and all grants, each with its reason. Only the invoker may call the service.

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

# Pub/Sub and Cloud Scheduler call the worker as the invoker. Cloud Run rejects all other callers.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  project  = var.project
  location = google_cloud_run_v2_service.worker.location
  name     = google_cloud_run_v2_service.worker.name
  role     = "roles/run.invoker"
  member   = local.invoker_member
}

# The current policy of the service: who may call it, however that was granted. Grants of the project are not in it.
data "google_cloud_run_v2_service_iam_policy" "live" {
  project  = var.project
  location = google_cloud_run_v2_service.worker.location
  name     = google_cloud_run_v2_service.worker.name

  lifecycle {
    postcondition {
      condition     = !anytrue([for each in flatten(try(jsondecode(self.policy_data).bindings, [])[*].members) : contains(["allUsers", "allAuthenticatedUsers"], each)])
      error_message = "Everyone may call the service ${self.name}: its policy names allUsers or allAuthenticatedUsers. Remove it: gcloud run services remove-iam-policy-binding ${self.name} --project=${var.project} --region=${var.region} --role=roles/run.invoker --member=allUsers (or --member=allAuthenticatedUsers)."
    }
  }

  # A service that does not exist yet has no policy.
  depends_on = [google_cloud_run_v2_service.worker, google_cloud_run_v2_service_iam_member.invoker]
}

locals {
  other_callers = setsubtract(flatten([
    for each in try(jsondecode(data.google_cloud_run_v2_service_iam_policy.live.policy_data).bindings, []) : each.members
    if contains(["roles/run.invoker", "roles/run.servicesInvoker", "roles/run.admin"], each.role)
  ]), [local.invoker_member])
}

# A warning: neither plan nor apply fails. The worker rejects calls without a token of the invoker.
check "only_the_invoker_calls" {
  assert {
    condition     = length(local.other_callers) == 0
    error_message = "Besides the invoker, ${join(", ", local.other_callers)} may call the service ${google_cloud_run_v2_service.worker.name}. Promptbridge does not need that. Remove the role, unless you know why they have it."
  }
}

# --- The worker

# The worker publishes dead letters, events, and rescued jobs.
resource "google_pubsub_topic_iam_member" "worker_publishes" {
  for_each = local.topics

  project = var.project
  topic   = each.value
  role    = "roles/pubsub.publisher"
  member  = local.worker_member
}

# The worker reads and writes records. The role can be granted only on a project; the condition limits it to this database.
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

# Pub/Sub forwards messages to the dead-letter topic after their last delivery attempt …
resource "google_pubsub_topic_iam_member" "pubsub_forwards" {
  project = var.project
  topic   = google_pubsub_topic.dead_letter.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

# … and acknowledges it on its first subscription. Without both grants nothing is forwarded, and no error is reported.
resource "google_pubsub_subscription_iam_member" "pubsub_forwards" {
  for_each = google_pubsub_subscription.jobs

  project      = var.project
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# Pub/Sub creates the tokens of the invoker. In a project created since April 2021 it needs no grant for that.
resource "google_service_account_iam_member" "pubsub_signs" {
  count = var.grant_token_creator ? 1 : 0

  service_account_id = google_service_account.invoker.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
}

# Pub/Sub writes events to their table.
resource "google_bigquery_table_iam_member" "pubsub_events" {
  for_each = local.events_table

  project    = var.project
  dataset_id = google_bigquery_table.events[each.key].dataset_id
  table_id   = google_bigquery_table.events[each.key].table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub_agent
}

# --- Submitters

# Publishing is enough to submit jobs. A publisher needs no access to the database.
resource "google_pubsub_topic_iam_member" "submitters_publish" {
  for_each = var.submitters

  project = var.project
  topic   = google_pubsub_topic.jobs.name
  role    = "roles/pubsub.publisher"
  member  = each.key
}

# --- Operators, who use the promptbridge command

# submit and replay publish jobs.
resource "google_pubsub_topic_iam_member" "operators_publish" {
  for_each = { for member in var.operators : "jobs ${member}" => member }

  project = var.project
  topic   = local.topics["jobs"]
  role    = "roles/pubsub.publisher"
  member  = each.value
}

# show, results, dead-letters, cancel and submit read and write records. pause saves the push endpoint of a subscription.
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

# pause, resume and doctor list subscriptions, which needs a role on the project. This role cannot read messages.
resource "google_project_iam_member" "operators_look" {
  for_each = var.operators

  project = var.project
  role    = "roles/pubsub.viewer"
  member  = each.key
}

# doctor checks the grants of the worker and of Pub/Sub, and finds who may call the service by a grant on the project, such
# as allUsers.
resource "google_project_iam_custom_role" "doctor" {
  count = length(var.operators) + length(var.doctor_users) > 0 ? 1 : 0

  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_doctor"
  title       = "Promptbridge: doctor"
  description = "Sees who has which roles on the project, its topics and its subscriptions."
  permissions = ["pubsub.subscriptions.getIamPolicy", "pubsub.topics.getIamPolicy", "resourcemanager.projects.getIamPolicy"]

  depends_on = [google_project_service.needed]
}

# Only for Pub/Sub. roles/run.viewer below shows who may call the service.
resource "google_project_iam_member" "operators_see_grants" {
  for_each = var.operators

  project = var.project
  role    = google_project_iam_custom_role.doctor[0].name
  member  = each.key
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

# --- Operators that may pause

# pause and resume change the push endpoint of a subscription. Each of Google's own roles that allows this also allows deleting
# the subscription and pulling its messages. This role allows neither. But a member can set the push endpoint to another
# server, which then receives all jobs, with the tokens that Pub/Sub creates for the invoker.
resource "google_project_iam_custom_role" "pause" {
  count = length(var.pause_operators) > 0 ? 1 : 0

  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_pause"
  title       = "Promptbridge: pause and resume"
  description = "Changes a push subscription, and neither deletes it nor takes its messages."
  permissions = ["pubsub.subscriptions.get", "pubsub.subscriptions.update"]

  depends_on = [google_project_service.needed]
}

# Only subscriptions of jobs are paused.
resource "google_pubsub_subscription_iam_member" "operators_pause" {
  for_each = {
    for pair in setproduct(keys(local.filters), var.pause_operators) : join(" ", pair) => { class = pair[0], member = pair[1] }
  }

  project      = var.project
  subscription = google_pubsub_subscription.jobs[each.value.class].name
  role         = google_project_iam_custom_role.pause[0].name
  member       = each.value.member
}

# resume makes a subscription push as the invoker again, which needs the permission to act as the invoker. So a member can
# also make another subscription push as the invoker.
resource "google_service_account_iam_member" "operators_resume" {
  for_each = var.pause_operators

  service_account_id = google_service_account.invoker.name
  role               = "roles/iam.serviceAccountUser"
  member             = each.key

  lifecycle {
    precondition {
      condition     = contains(var.operators, each.key)
      error_message = "pause_operators names ${each.key}, which operators does not. pause also needs the permissions of an operator. Add it to operators."
    }
  }
}

# --- Operators that may get the worker's ID token

# doctor and token inspect get the worker's ID token. Azure trusts this token: a member can exchange it for an access token
# and call the model as the worker. Such calls are neither recorded nor counted.
resource "google_service_account_iam_member" "operators_doctor" {
  for_each = var.worker_token_operators

  service_account_id = google_service_account.worker.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = each.key

  lifecycle {
    precondition {
      condition     = contains(var.operators, each.key) || each.key == local.doctor_member
      error_message = "worker_token_operators names ${each.key}, which operators does not. Add it to operators. Besides operators, it may name only the account of the doctor, with doctor_users: ${local.doctor_member}."
    }
  }

  depends_on = [google_service_account.doctor]
}

# --- The doctor, as an account of its own

locals {
  doctor_id = "${var.name}-doctor"

  # Built from names, so that it can be compared with the variables before the account exists.
  doctor_member = "serviceAccount:${local.doctor_id}@${var.project}.iam.gserviceaccount.com"

  doctor = length(var.doctor_users) > 0 ? { this = local.doctor_member } : {}
}

resource "google_service_account" "doctor" {
  for_each = local.doctor

  project      = var.project
  account_id   = local.doctor_id
  display_name = "Promptbridge: the doctor, which reads and changes nothing"

  depends_on = [google_project_service.needed]
}

# doctor_users run the doctor as this account, by impersonation.
resource "google_service_account_iam_member" "doctor_users" {
  for_each = var.doctor_users

  service_account_id = google_service_account.doctor["this"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.key
}

# The account reads topics and subscriptions, but no messages,
resource "google_project_iam_member" "doctor_looks" {
  for_each = google_service_account.doctor

  project = var.project
  role    = "roles/pubsub.viewer"
  member  = "serviceAccount:${each.value.email}"
}

# their grants,
resource "google_project_iam_member" "doctor_sees_grants" {
  for_each = google_service_account.doctor

  project = var.project
  role    = google_project_iam_custom_role.doctor[0].name
  member  = "serviceAccount:${each.value.email}"
}

# the live settings, and who may call the service,
resource "google_cloud_run_v2_service_iam_member" "doctor_looks" {
  for_each = google_service_account.doctor

  project  = var.project
  location = google_cloud_run_v2_service.worker.location
  name     = google_cloud_run_v2_service.worker.name
  role     = "roles/run.viewer"
  member   = "serviceAccount:${each.value.email}"
}

# and the database, to check access, indexes and the sweep.
resource "google_project_iam_member" "doctor_reads" {
  for_each = google_service_account.doctor

  project = var.project
  role    = "roles/datastore.viewer"
  member  = "serviceAccount:${each.value.email}"

  condition {
    title      = "promptbridge records"
    expression = local.records_condition
  }
}
