variable "project" {
  type        = string
  description = "Google Cloud project."
}

variable "region" {
  type        = string
  description = "Region of the worker on Google Cloud."
}

variable "image" {
  type        = string
  description = "The worker's image."
}

variable "tenant_id" {
  type        = string
  description = "Entra tenant of the subscription."
}

variable "subscription_id" {
  type        = string
  description = "Azure subscription of the Azure OpenAI resources."
}

variable "azure_cloud" {
  type        = string
  default     = "public"
  description = "public, us-government or china."
}

variable "azure_openai_ids" {
  type        = set(string)
  default     = []
  description = "Resource ids of existing Azure OpenAI resources: /subscriptions/…/accounts/NAME."
}

variable "deployments" {
  type = list(object({
    model             = string
    endpoint          = string
    deployment        = string
    name              = optional(string)
    priority          = optional(number, 1)
    rpm               = optional(number)
    tpm               = optional(number)
    max_output_tokens = optional(number)
  }))
  default     = []
  description = "Deployments of these resources."
}

variable "allow_custom_hosts" {
  type        = bool
  default     = false
  description = "Whether tokens may be sent to endpoints outside the Azure cloud, such as API Management. These endpoints can read the tokens."
}

variable "new_account" {
  type = object({
    name                          = string
    resource_group_name           = string
    location                      = string
    public_network_access_enabled = optional(bool, true)
  })
  default     = null
  description = "An Azure OpenAI resource to create."
}

variable "new_deployments" {
  type = map(object({
    model    = string
    version  = string
    capacity = number
    sku      = optional(string, "GlobalStandard")
    rpm      = optional(number)
    priority = optional(number, 1)
  }))
  default     = {}
  description = "Its deployments, by name; the capacity is in thousands of tokens per minute."
}

variable "submitters" {
  type        = set(string)
  default     = []
  description = "IAM members that may publish jobs."
}

variable "operators" {
  type        = set(string)
  default     = []
  description = "IAM members that may use the promptbridge command: submit, show, results, cancel, dead-letters, and doctor without the worker's identity."
}

variable "pause_operators" {
  type        = set(string)
  default     = []
  description = "Those of operators that may also pause and resume. Each of them can redirect all messages, with the tokens that Pub/Sub creates for the invoker."
}

variable "worker_token_operators" {
  type        = set(string)
  default     = []
  description = "Those of operators that may also get the worker's ID token, for doctor and token inspect. Each of them can act as the worker to Azure."
}

variable "doctor_users" {
  type        = set(string)
  default     = []
  description = "IAM members that may run the doctor as a service account of its own, which only reads."
}

variable "audit_logs" {
  type        = bool
  default     = false
  description = "Whether Google logs who reads and changes records, and who reads topics and subscriptions. This replaces the project's audit log settings of Pub/Sub and Firestore."
}

variable "alert_on_delivery_changes" {
  type        = bool
  default     = false
  description = "Whether to create an alert for every change of a subscription or its push endpoint."
}

variable "point_in_time_recovery" {
  type        = bool
  default     = false
  description = "Whether Firestore keeps every version of a record for seven days."
}

variable "deletion_protection" {
  type        = bool
  default     = true
  description = "Whether the service and the database are protected from a destroy."
}

variable "notification_channels" {
  type        = list(string)
  default     = []
  description = "Names of the Cloud Monitoring channels that alerts go to."
}
