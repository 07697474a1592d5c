# Google's audit logs: who read and changed what.
#
# The admin activity log always contains each change of a topic, a subscription, a database or a grant. The data access log
# contains reads of settings and records, and Seek, which can drop all waiting messages. A project must switch it on. Pub/Sub
# logs no publish, no pull and no acknowledgement.

locals {
  # The name of Firestore in this configuration. Its log entries contain firestore.googleapis.com.
  audited = var.audit_logs ? {
    "pubsub.googleapis.com"    = []
    "datastore.googleapis.com" = [local.worker_member]
  } : {}
}

resource "google_project_iam_audit_config" "data_access" {
  for_each = local.audited

  project = var.project
  service = each.key

  audit_log_config {
    log_type = "ADMIN_READ"
  }

  # The worker reads and writes records for each job. Its entries would hide those of people, and would cost the most.
  audit_log_config {
    log_type         = "DATA_READ"
    exempted_members = each.value
  }

  audit_log_config {
    log_type         = "DATA_WRITE"
    exempted_members = each.value
  }

  depends_on = [google_project_service.needed]
}

locals {
  own_subscriptions = join("|", concat(
    [for subscription in google_pubsub_subscription.jobs : subscription.name],
    [google_pubsub_subscription.dead_letter.name],
    [for subscription in google_pubsub_subscription.events_table : subscription.name],
  ))

  # A new subscription of one of the topics receives a copy of each message.
  delivery_changes = join(" AND ", [
    "logName =~ \"^projects/${var.project}/logs/cloudaudit.googleapis.com%2F(activity|data_access)$\"",
    "protoPayload.serviceName = \"pubsub.googleapis.com\"",
    "protoPayload.methodName =~ \"[.](CreateSubscription|UpdateSubscription|ModifyPushConfig|DeleteSubscription|DetachSubscription|Seek)$\"",
    "(protoPayload.resourceName =~ \"/subscriptions/(${local.own_subscriptions})$\" OR protoPayload.request.topic =~ \"/topics/(${join("|", values(local.topics))})$\")",
  ])
}

# Based on the log and not on a metric, because each single change matters.
resource "google_monitoring_alert_policy" "delivery_changed" {
  count = var.alert_on_delivery_changes ? 1 : 0

  project               = var.project
  display_name          = "${var.name}: a subscription was changed, made or deleted"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "a subscription was changed, made or deleted"

    condition_matched_log {
      filter = local.delivery_changes

      label_extractors = {
        method       = "EXTRACT(protoPayload.methodName)"
        subscription = "EXTRACT(protoPayload.resourceName)"
        by           = "EXTRACT(protoPayload.authenticationInfo.principalEmail)"
      }
    }
  }

  alert_strategy {
    notification_rate_limit {
      period = "300s"
    }
  }

  documentation {
    content   = "`by` made the change. `promptbridge pause`, `promptbridge resume` and an apply make such changes. If it was none of them, jobs may be sent to another server. `promptbridge doctor` compares each push subscription with its expected configuration. `terraform apply` restores it."
    mime_type = "text/markdown"
  }

  depends_on = [google_project_service.needed]
}
