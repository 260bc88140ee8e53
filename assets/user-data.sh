#!/usr/bin/env bash
# Prepares a bare Amazon Linux 2023 (or 2) host, once, at its first boot. What depends on a database or a
# Flyway version is not here: a run reads it when it starts, so a change of either needs no new host.
set -euo pipefail
package_manager=$(command -v dnf || command -v yum)
for package in jq tar gzip util-linux; do
  "$package_manager" -y -q install "$package" || echo "user-data: $package is not installed; a run tries again" >&2
done
command -v aws >/dev/null || "$package_manager" -y -q install awscli-2 || "$package_manager" -y -q install awscli
install -d -m 0700 /opt/flyway
systemctl enable --now amazon-ssm-agent
