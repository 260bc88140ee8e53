#!/usr/bin/env bash
# Prepares a bare Amazon Linux 2023 (or 2) host, once, at its first boot. What depends on a database or a
# Flyway version is not here: a run reads it when it starts, so a change of either needs no new host.
set -euo pipefail
swap=/swapfile
package_manager=$(command -v dnf || command -v yum)

# need <packages> <program>...: as in flyway-migrate.sh, but a run tries again.
need() {
  local packages=$1 package
  shift
  for package in $packages; do
    ! type -P "$@" >/dev/null || return 0
    "$package_manager" -y -q install "$package" || true
    hash -r
  done
  type -P "$@" >/dev/null || echo "user-data: not all of $* could be installed; a run tries again" >&2
}

# Amazon Linux has no swap, and a small host nothing else for a moment's need: 1 GiB, as much again as a t3.micro's
# memory. Written out, since swapon takes no file with holes, nor, on Amazon Linux 2's xfs, one by fallocate.
add_swap() {
  ! grep -q "^$swap " /etc/fstab || return 0
  (umask 077 && dd if=/dev/zero of="$swap" bs=1M count=1024 status=none) && mkswap "$swap" >/dev/null && swapon "$swap" &&
    echo "$swap none swap sw,nofail 0 0" >>/etc/fstab
}

if ! add_swap; then
  rm -f "$swap"
  echo "user-data: the host has no swap" >&2
fi
need coreutils cat comm cp cut date df dirname expr head ls mkdir mktemp mv nproc rm sha256sum sleep sort tail tr uname wc
need util-linux flock
need findutils find xargs
need diffutils cmp
need grep grep
need sed sed
need tar tar
need gzip gzip
need "curl-minimal curl" curl
need jq jq
need "awscli-2 awscli" aws
install -d -m 0700 /opt/flyway
systemctl enable --now amazon-ssm-agent
