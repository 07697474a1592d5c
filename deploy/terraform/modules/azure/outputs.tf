output "tenant_id" {
  description = "AZURE_TENANT_ID"
  value       = azuread_service_principal.worker.application_tenant_id
}

output "client_id" {
  description = "AZURE_CLIENT_ID"
  value       = azuread_application.worker.client_id
}

output "audience" {
  description = "Audience of the federated credential."
  value       = local.audiences[var.azure_cloud]
}

output "deployments" {
  description = "The created deployments, in the form of the input of the google module."
  value = [
    for name, each in azurerm_cognitive_deployment.this : {
      model      = var.deployments[name].model
      endpoint   = trimsuffix(azurerm_cognitive_account.this["this"].endpoint, "/")
      deployment = name
      priority   = var.deployments[name].priority
      rpm        = var.deployments[name].rpm
      tpm        = var.deployments[name].capacity * 1000
    }
  ]
}
