terraform {
  required_version = ">= 1.5"

  # The versions whose schemas the tests know. The modules take a range, because a configuration that uses one pins versions of its own.
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "6.50.0"
    }
    azuread = {
      source  = "hashicorp/azuread"
      version = "3.7.0"
    }
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "4.55.0"
    }
  }
}
