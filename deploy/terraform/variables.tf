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
  description = "Entra tenant: that of the subscription."
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
  description = "Resource ids of the Azure OpenAI resources there are: /subscriptions/…/accounts/NAME."
}

variable "deployments" {
  type = list(object({
    model      = string
    endpoint   = string
    deployment = string
    priority   = optional(number, 1)
    rpm        = optional(number)
    tpm        = optional(number)
  }))
  default     = []
  description = "Their deployments."
}

variable "new_account" {
  type = object({
    name                          = string
    resource_group_name           = string
    location                      = string
    public_network_access_enabled = optional(bool, true)
  })
  default     = null
  description = "An Azure OpenAI resource to make."
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
  description = "Its deployments, by their names; the capacity in thousands of tokens a minute."
}

variable "submitters" {
  type        = set(string)
  default     = []
  description = "IAM members that may publish jobs."
}

variable "operators" {
  type        = set(string)
  default     = []
  description = "IAM members that may use all of the promptbridge command."
}

variable "notification_channels" {
  type        = list(string)
  default     = []
  description = "Names of the Cloud Monitoring channels that alerts go to."
}
