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

# Who may call the service as Cloud Run has it now, whichever way it was granted. What a whole project grants is not in it.
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

  # A service that is still to be made has no policy to look at.
  depends_on = [google_cloud_run_v2_service.worker, google_cloud_run_v2_service_iam_member.invoker]
}

locals {
  other_callers = setsubtract(flatten([
    for each in try(jsondecode(data.google_cloud_run_v2_service_iam_policy.live.policy_data).bindings, []) : each.members
    if contains(["roles/run.invoker", "roles/run.servicesInvoker", "roles/run.admin"], each.role)
  ]), [local.invoker_member])
}

# A warning, which fails neither plan nor apply. The worker rejects their calls unless they hold a token of the invoker.
check "only_the_invoker_calls" {
  assert {
    condition     = length(local.other_callers) == 0
    error_message = "Besides the invoker, the service ${google_cloud_run_v2_service.worker.name} may be called by ${join(", ", local.other_callers)}. Nothing here needs that: take the role from them, unless you know why they have it."
  }
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

# … and acknowledges it on its first subscription. Without both grants nothing is forwarded, and no error is reported.
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

# submit and replay publish jobs.
resource "google_pubsub_topic_iam_member" "operators_publish" {
  for_each = { for member in var.operators : "jobs ${member}" => member }

  project = var.project
  topic   = local.topics["jobs"]
  role    = "roles/pubsub.publisher"
  member  = each.value
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

# doctor looks whether the worker and Pub/Sub have the grants that they need, and who may call the service by a grant on the
# project, allUsers among them.
resource "google_project_iam_custom_role" "doctor" {
  count = length(var.operators) + length(var.doctor_users) > 0 ? 1 : 0

  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_doctor"
  title       = "Promptbridge: doctor"
  description = "Sees who has which roles on the project, its topics and its subscriptions."
  permissions = ["pubsub.subscriptions.getIamPolicy", "pubsub.topics.getIamPolicy", "resourcemanager.projects.getIamPolicy"]

  depends_on = [google_project_service.needed]
}

# Of Pub/Sub alone; who may call the service is seen by roles/run.viewer below.
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

# --- Those of them that may pause

# pause and resume change where a subscription pushes to. Any role of Google's that allows this also allows to delete the
# subscription and to take its messages. This one allows neither, but a member can point the push at a server of their own:
# it receives all jobs from then on, and the tokens that Pub/Sub makes as the invoker.
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

# resume lets a subscription push as the invoker again, which takes the right to act as it. So a member can also let a
# subscription of their own push as the invoker.
resource "google_service_account_iam_member" "operators_resume" {
  for_each = var.pause_operators

  service_account_id = google_service_account.invoker.name
  role               = "roles/iam.serviceAccountUser"
  member             = each.key

  lifecycle {
    precondition {
      condition     = contains(var.operators, each.key)
      error_message = "pause_operators names ${each.key}, which operators does not: pause also needs what an operator may do. Add it to operators."
    }
  }
}

# --- Those of them that may have the worker's ID token

# doctor and token inspect have the worker's ID token made. It is what Azure trusts: a member can exchange it for an access
# token, and ask the model as the worker does. Nothing records such a request, or counts it.
resource "google_service_account_iam_member" "operators_doctor" {
  for_each = var.worker_token_operators

  service_account_id = google_service_account.worker.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = each.key

  lifecycle {
    precondition {
      condition     = contains(var.operators, each.key) || each.key == local.doctor_member
      error_message = "worker_token_operators names ${each.key}, which operators does not. Add it to operators. Besides operators, it may name the account of the doctor alone: ${local.doctor_member}, with doctor_users."
    }
  }

  depends_on = [google_service_account.doctor]
}

# --- The doctor, as an account of its own

locals {
  doctor_id = "${var.name}-doctor"

  # Written out, because its address alone says whether it is named in a variable.
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

# They run the doctor as that account, by impersonation.
resource "google_service_account_iam_member" "doctor_users" {
  for_each = var.doctor_users

  service_account_id = google_service_account.doctor["this"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.key
}

# It looks at topics and subscriptions, which shows no message,
resource "google_project_iam_member" "doctor_looks" {
  for_each = google_service_account.doctor

  project = var.project
  role    = "roles/pubsub.viewer"
  member  = "serviceAccount:${each.value.email}"
}

# at their grants,
resource "google_project_iam_member" "doctor_sees_grants" {
  for_each = google_service_account.doctor

  project = var.project
  role    = google_project_iam_custom_role.doctor[0].name
  member  = "serviceAccount:${each.value.email}"
}

# at the live settings, and at who may call the service,
resource "google_cloud_run_v2_service_iam_member" "doctor_looks" {
  for_each = google_service_account.doctor

  project  = var.project
  location = google_cloud_run_v2_service.worker.location
  name     = google_cloud_run_v2_service.worker.name
  role     = "roles/run.viewer"
  member   = "serviceAccount:${each.value.email}"
}

# and at whether records can be read, their indexes are built, and the sweep runs.
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
