output "env" {
  description = "The file promptbridge.env for operators: the worker's settings, and the worker's identity by impersonation. It does not contain ALLOW_CUSTOM_HOSTS, which a file must not set."
  value = join("", [
    for name, value in merge(local.settings, { TOKEN_SOURCE = "impersonate:${google_service_account.worker.email}" }) :
    "${name}='${value}'\n" if name != "ALLOW_CUSTOM_HOSTS"
  ])
}

output "worker_service_account" {
  description = "E-mail of the service account that the worker runs as."
  value       = google_service_account.worker.email
}

output "worker_unique_id" {
  description = "Its unique id: Subject of the federated credential in Entra."
  value       = google_service_account.worker.unique_id
}

output "doctor_service_account" {
  description = "E-mail of the service account that doctor_users run the doctor as; null if there is none."
  value       = try(google_service_account.doctor["this"].email, null)
}

output "service" {
  description = "Name of the Cloud Run service."
  value       = google_cloud_run_v2_service.worker.name
}

output "uri" {
  description = "Its address, which accepts only the invoker."
  value       = google_cloud_run_v2_service.worker.uri
}

output "topics" {
  description = "Names of the topics: jobs, dead_letter and events."
  value       = local.topics
}

output "max_instances" {
  description = "The maximum number of instances, as set or as calculated."
  value       = local.max_instances
}
