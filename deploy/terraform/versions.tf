terraform {
  required_version = ">= 1.5"

  # The versions that the tests use. The modules accept a range, because a configuration that uses a module pins its own versions.
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
