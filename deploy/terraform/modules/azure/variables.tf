variable "subject" {
  type        = string
  description = "Unique id of the worker's service account on Google Cloud: 21 digits, not its e-mail."
}

variable "name" {
  type        = string
  default     = "promptbridge-worker"
  description = "Display name of the app registration."
}

variable "azure_cloud" {
  type        = string
  default     = "public"
  description = "public, us-government or china: each has its own audience."

  validation {
    condition     = contains(["public", "us-government", "china"], var.azure_cloud)
    error_message = "azure_cloud must be public, us-government or china."
  }
}

variable "account_ids" {
  type        = set(string)
  default     = []
  description = "Resource ids of existing Azure OpenAI resources: /subscriptions/…/accounts/NAME. Add their deployments to the google module yourself."
}

variable "account" {
  type = object({
    name                          = string
    resource_group_name           = string
    location                      = string
    public_network_access_enabled = optional(bool, true)
  })
  default     = null
  description = "An Azure OpenAI resource to create in an existing resource group. Its name is part of its address, so it must be globally unique."
}

variable "deployments" {
  type = map(object({
    model    = string
    version  = string
    capacity = number
    sku      = optional(string, "GlobalStandard")
    rpm      = optional(number)
    priority = optional(number, 1)
  }))
  default     = {}
  description = "Deployments to create on that resource, by name. The capacity is in thousands of tokens per minute. rpm, the requests per minute of that capacity, is only passed on."
}
