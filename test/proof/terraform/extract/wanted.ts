/** What is kept of one provider. To keep more, add a type here and run extract/main.ts again. */
export interface Wanted {
  /** The npm package and its version. It is the last one of its kind: HashiCorp archived them in December 2025. */
  readonly package: string
  readonly version: string
  readonly resources: readonly string[]
  readonly dataSources: readonly string[]
}

export const wanted: Readonly<Record<string, Wanted>> = {
  google: {
    package: '@cdktf/provider-google',
    version: '16.12.1',
    resources: [
      'google_artifact_registry_repository',
      'google_artifact_registry_repository_iam_member',
      'google_bigquery_dataset',
      'google_bigquery_dataset_iam_member',
      'google_bigquery_table',
      'google_bigquery_table_iam_member',
      'google_cloud_run_v2_service',
      'google_cloud_run_v2_service_iam_member',
      'google_cloud_scheduler_job',
      'google_firestore_database',
      'google_firestore_field',
      'google_firestore_index',
      'google_logging_metric',
      'google_monitoring_alert_policy',
      'google_monitoring_dashboard',
      'google_monitoring_notification_channel',
      'google_project_iam_audit_config',
      'google_project_iam_custom_role',
      'google_project_iam_member',
      'google_project_service',
      'google_pubsub_subscription',
      'google_pubsub_subscription_iam_member',
      'google_pubsub_topic',
      'google_pubsub_topic_iam_member',
      'google_service_account',
      'google_service_account_iam_member',
    ],
    dataSources: ['google_client_config', 'google_cloud_run_v2_service_iam_policy', 'google_project'],
  },
  azurerm: {
    package: '@cdktf/provider-azurerm',
    version: '14.23.1',
    resources: [
      'azurerm_cognitive_account',
      'azurerm_cognitive_deployment',
      'azurerm_resource_group',
      'azurerm_role_assignment',
    ],
    dataSources: ['azurerm_client_config', 'azurerm_cognitive_account', 'azurerm_resource_group'],
  },
  azuread: {
    package: '@cdktf/provider-azuread',
    version: '14.3.1',
    resources: [
      'azuread_application',
      'azuread_application_federated_identity_credential',
      'azuread_application_registration',
      'azuread_service_principal',
    ],
    dataSources: ['azuread_client_config'],
  },
}
