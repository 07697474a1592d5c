output "env" {
  description = "Settings for the promptbridge command: terraform output -raw env > promptbridge.env"
  value       = module.google.env
}

output "uri" {
  description = "Address of the worker, which accepts only the invoker."
  value       = module.google.uri
}

output "worker_service_account" {
  description = "E-mail of the service account that the worker runs as."
  value       = module.google.worker_service_account
}

output "worker_unique_id" {
  description = "Its unique id, which is Subject in Entra."
  value       = module.google.worker_unique_id
}

output "doctor_service_account" {
  description = "E-mail of the service account that doctor_users run the doctor as; null if there is none."
  value       = module.google.doctor_service_account
}

output "client_id" {
  description = "The app registration's application (client) id."
  value       = module.azure.client_id
}
