variable "master_password" {
  type        = string
  sensitive   = true
  default     = "Article-passw0rd"
  description = "Password of the database's master user"
}

variable "master_username" {
  type        = string
  sensitive   = true
  default     = "admin"
  description = "Name of the database's master user"
}

variable "flyway_managed_databases" {
  type        = list(string)
  default     = ["Users", "Products"]
  description = "Databases that Flyway manages; each gets a bucket"
}

variable "flyway_version" {
  type    = string
  default = "7.15.0"
}

variable "flyway_conf" {
  type        = string
  default     = "test_flyway.conf"
  description = "Name of Flyway's configuration file on the host"
}
