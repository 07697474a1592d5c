# Firestore: the database, and which fields are indexed or make a document expire.

locals {
  # The only definition of the indexes. The Firebase CLI reads it as well.
  firestore = jsondecode(file(coalesce(var.firestore_indexes_file, "${path.module}/../../../firestore.indexes.json")))

  # A database that is there already stays in the Terraform state that created it. That was always the default one
  # before it had a variable.
  database = var.create_database ? google_firestore_database.default[0].name : coalesce(var.firestore_database, "(default)")
}

# An installation keeps its database, because the records in it show which jobs were paid for. `name` has an effect only when
# the database is created. So an installation that was created with (default) stays there.
resource "google_firestore_database" "default" {
  count = var.create_database ? 1 : 0

  project     = var.project
  name        = coalesce(var.firestore_database, "${var.name}-records")
  location_id = coalesce(var.firestore_location, var.region)
  type        = "FIRESTORE_NATIVE"

  delete_protection_state = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy         = var.deletion_protection ? "ABANDON" : "DELETE"

  # Null is Google's default: disabled.
  point_in_time_recovery_enablement = var.point_in_time_recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : null

  lifecycle {
    ignore_changes = [name]

    postcondition {
      condition     = var.firestore_database == null || self.name == var.firestore_database
      error_message = "This installation keeps its records in the database ${self.name}. In another database it would find none of them, and would pay again for each job that is redelivered. Leave firestore_database out, or set it to ${self.name}."
    }
  }

  depends_on = [google_project_service.needed]
}

resource "google_firestore_index" "composite" {
  for_each = {
    for index in local.firestore.indexes :
    join(" ", concat([index.collectionGroup], index.fields[*].fieldPath)) => index
  }

  project     = var.project
  database    = local.database
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path = fields.value.fieldPath
      order      = fields.value.order
    }
  }
}

# An unused index adds cost to each write, and an index of a time makes all writes hit one range of the index.
resource "google_firestore_field" "exempt" {
  for_each = {
    for field in local.firestore.fieldOverrides :
    "${field.collectionGroup}.${field.fieldPath}" => field
  }

  project    = var.project
  database   = local.database
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  # Empty: no index at all.
  index_config {}

  # The document is deleted after the time in this field.
  dynamic "ttl_config" {
    for_each = try(each.value.ttl, false) ? [true] : []

    content {}
  }
}
