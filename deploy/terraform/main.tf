# Both clouds in one apply. The modules depend on each other without a cycle: first Google's service account and its unique
# id, then Azure's app registration, which needs only that id, and last the worker, which needs the client id.

locals {
  # The names of the clouds in Microsoft's providers.
  azure_environment = { public = "public", us-government = "usgovernment", china = "china" }[var.azure_cloud]
}

provider "google" {
  project = var.project
  region  = var.region
}

provider "azuread" {
  tenant_id   = var.tenant_id
  environment = local.azure_environment
}

provider "azurerm" {
  tenant_id       = var.tenant_id
  subscription_id = var.subscription_id
  environment     = local.azure_environment

  # Otherwise the provider registers many services that are not needed here, and needs the permission to do so.
  resource_provider_registrations = "none"
  resource_providers_to_register  = ["Microsoft.CognitiveServices"]

  features {}
}

module "google" {
  source = "./modules/google"

  project         = var.project
  region          = var.region
  image           = var.image
  azure_cloud     = var.azure_cloud
  azure_tenant_id = module.azure.tenant_id
  azure_client_id = module.azure.client_id
  deployments     = concat(var.deployments, module.azure.deployments)

  submitters             = var.submitters
  operators              = var.operators
  pause_operators        = var.pause_operators
  worker_token_operators = var.worker_token_operators
  doctor_users           = var.doctor_users

  allow_custom_hosts        = var.allow_custom_hosts
  audit_logs                = var.audit_logs
  alert_on_delivery_changes = var.alert_on_delivery_changes
  point_in_time_recovery    = var.point_in_time_recovery
  deletion_protection       = var.deletion_protection
  notification_channels     = var.notification_channels
}

module "azure" {
  source = "./modules/azure"

  subject     = module.google.worker_unique_id
  azure_cloud = var.azure_cloud
  account_ids = var.azure_openai_ids
  account     = var.new_account
  deployments = var.new_deployments
}
