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
    error_message = "One of public, us-government and china."
  }
}

variable "account_ids" {
  type        = set(string)
  default     = []
  description = "Resource ids of the Azure OpenAI resources there are: /subscriptions/…/accounts/NAME. Their deployments are named to the google module by hand."
}

variable "account" {
  type = object({
    name                          = string
    resource_group_name           = string
    location                      = string
    public_network_access_enabled = optional(bool, true)
  })
  default     = null
  description = "An Azure OpenAI resource to make, in a resource group there is. The name is a part of its address, so it is unique in the world."
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
  description = "Deployments to make on that resource, by their names. The capacity is in thousands of tokens a minute; rpm, the requests a minute that Azure gives for it, is only passed on."
}
