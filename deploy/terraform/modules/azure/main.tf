# The worker's identity in Azure: an app registration that trusts the Google ID token of one service account, and one role.

locals {
  # The default of AZURE_FEDERATED_AUDIENCE in each cloud.
  audiences = {
    public        = "api://AzureADTokenExchange"
    us-government = "api://AzureADTokenExchangeUSGov"
    china         = "api://AzureADTokenExchangeChina"
  }

  accounts = var.account == null ? {} : { this = var.account }
}

# It has no password, no certificate and no API permission.
resource "azuread_application" "worker" {
  display_name     = var.name
  sign_in_audience = "AzureADMyOrg"
}

resource "azuread_service_principal" "worker" {
  client_id = azuread_application.worker.client_id
}

# Entra compares these values with the ID token exactly.
resource "azuread_application_federated_identity_credential" "worker" {
  application_id = azuread_application.worker.id
  display_name   = var.name
  description    = "The service account of the Promptbridge worker on Google Cloud."
  issuer         = "https://accounts.google.com"
  subject        = var.subject
  audiences      = [local.audiences[var.azure_cloud]]
}

# The worker can call deployments, but cannot read or change the configuration of a resource. Resources are given by id,
# because the provider's data source would write their keys into the state.
resource "azurerm_role_assignment" "asks" {
  for_each = merge(
    { for id in var.account_ids : id => id },
    { for name, account in azurerm_cognitive_account.this : name => account.id },
  )

  scope                = each.value
  role_definition_name = "Cognitive Services OpenAI User"
  principal_id         = azuread_service_principal.worker.object_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_cognitive_account" "this" {
  for_each = local.accounts

  name                          = each.value.name
  resource_group_name           = each.value.resource_group_name
  location                      = each.value.location
  kind                          = "OpenAI"
  sku_name                      = "S0"
  public_network_access_enabled = each.value.public_network_access_enabled

  # Entra tokens are accepted only at a custom subdomain.
  custom_subdomain_name = each.value.name

  # Keys are disabled: no key can be used, and the provider writes none into the state.
  local_auth_enabled = false
}

resource "azurerm_cognitive_deployment" "this" {
  for_each = var.account == null ? {} : var.deployments

  cognitive_account_id = azurerm_cognitive_account.this["this"].id
  name                 = each.key

  model {
    format  = "OpenAI"
    name    = each.value.model
    version = each.value.version
  }

  sku {
    name     = each.value.sku
    capacity = each.value.capacity
  }
}
