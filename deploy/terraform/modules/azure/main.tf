# Who the worker is in Azure: an app registration that Google's ID token of one service account is proof of, and one role.

locals {
  # As AZURE_FEDERATED_AUDIENCE has it by default in each cloud.
  audiences = {
    public        = "api://AzureADTokenExchange"
    us-government = "api://AzureADTokenExchangeUSGov"
    china         = "api://AzureADTokenExchangeChina"
  }

  accounts = var.account == null ? {} : { this = var.account }
}

# It has no password and no certificate, and asks for no permission.
resource "azuread_application" "worker" {
  display_name     = var.name
  sign_in_audience = "AzureADMyOrg"
}

resource "azuread_service_principal" "worker" {
  client_id = azuread_application.worker.client_id
}

# Compared with the ID token letter by letter.
resource "azuread_application_federated_identity_credential" "worker" {
  application_id = azuread_application.worker.id
  display_name   = var.name
  description    = "The service account of the Promptbridge worker on Google Cloud."
  issuer         = "https://accounts.google.com"
  subject        = var.subject
  audiences      = [local.audiences[var.azure_cloud]]
}

# The worker asks deployments; it neither sees nor changes how a resource is set up. By id, for the provider's data source
# would write the keys of a resource into the state.
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

  # Entra's tokens are taken at an address of the resource's own alone.
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
