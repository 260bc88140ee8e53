#!/usr/bin/env bash
# Prepares a bare Amazon Linux 2023 host, once, at its first boot. What depends on a database or a
# Flyway version is not here: a run reads it when it starts, so a change of either needs no new host.
set -euo pipefail
swap=/swapfile

# need <package> <program>: as in host.sh, but a run tries again.
need() {
  type -P "$2" >/dev/null || dnf -y -q install "$1" || echo "user-data: $1 could not be installed; a run tries again" >&2
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
need util-linux flock
need tar tar
need gzip gzip
need findutils xargs
need nodejs24 node-24
need awscli-2 aws
install -d -m 0700 /opt/flyway
systemctl enable --now amazon-ssm-agent
