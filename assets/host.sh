#!/usr/bin/env bash
# What the Command document runs on the host: brings Node.js and the runner, takes the bucket's turn and a place on this
# host, and hands over to the runner (runner/main.ts). With `*` for the bucket, a reconcile: the runner looks at every
# bucket, and this script runs those that are due, by DUE. The document sets:
#   BUCKET OPERATION SETTLE_SECONDS PARAMETERS   for the runner: see runner/environment.ts
#   RUNNER_URL RUNNER_SHA256                     where the runner is, and what it must be
#   EXPIRES_AT                                   from when on, in seconds since 1970, nothing is begun any more; 0: never
# A test or the local chain may set HOST_ROOT (/opt/flyway) and MAX_RUNS (by memory and CPUs). For Amazon Linux 2023.
set -euo pipefail
umask 077
export LC_ALL=C.UTF-8 NODE_NO_WARNINGS=1 HOST_ROOT=${HOST_ROOT:-/opt/flyway} BUCKET=${DUE:-$BUCKET}
say() { printf '%s %s: %s\n' "$(date -u +%H:%M:%S)" "$BUCKET" "$*"; }
die() { say "FAILED: $*" >&2 && exit 1; }

# need <package> <program> [remedy]: one package manager at a time, a small host has no memory for several.
need() {
  ! type -P "$2" >/dev/null || return 0
  exec 3>"$HOST_ROOT/locks/packages"
  ! type -P flock >/dev/null || flock 3
  type -P "$2" >/dev/null || { say "installing $1" && dnf -y -q install "$1" >&2; } ||
    die "cannot install $1: ${3:-install it on the host}"
  exec 3>&-
}

# Amazon Linux 2023 has a name for each release of Node.js.
find_node() { node=$(type -P node-24 || type -P node-22 || type -P node-20 || type -P node); }
is_runner() { printf '%s  %s\n' "$RUNNER_SHA256" "$1" | sha256sum -c --status 2>/dev/null; }

bring_runner() {
  runner=$HOST_ROOT/runner/$RUNNER_SHA256.cjs
  ! is_runner "$runner" || return 0
  partial=$(mktemp "$HOST_ROOT/runner/.partial.XXXXXX")
  case $RUNNER_URL in
    file://*) cp "${RUNNER_URL#file://}" "$partial" ;;
    *) need awscli-2 aws && aws s3 cp --only-show-errors "$RUNNER_URL" "$partial" ;;
  esac || { rm "$partial" && die "cannot download the runner from $RUNNER_URL"; }
  is_runner "$partial" || { rm "$partial" && die "the runner from $RUNNER_URL does not have the SHA-256 $RUNNER_SHA256"; }
  mv "$partial" "$runner"
}

# Locks are open files, and end with the process. Flyway inherits 8 and 9: they outlive a run that is killed alone.
# One run at a time per bucket; a second waits; a third is covered by the one that waits, for its turn or its place.
take_turn() {
  exec 7>"$HOST_ROOT/locks/$BUCKET.next" 8>"$HOST_ROOT/locks/$BUCKET.turn"
  if [ -n "${DUE:-}" ]; then
    flock -n 8 || { say "a run is under way" && exit 0; }
  elif [ "$OPERATION" = migrate ] && ! flock -n 7; then # a repair covers none, and none covers it
    say "COVERED: a run that waits will look at this bucket after this upload" && exit 0
  fi
  flock -n 8 || { say "waiting for the run before this one" && flock 8; }
  flock -n 7 || true
}

take_place() {
  local place waits=""
  while :; do
    for ((place = 1; place <= places; place++)); do
      exec 9>"$HOST_ROOT/locks/run.$place"
      ! flock -n 9 || return 0
    done
    [ -n "$waits" ] || say "waiting for a place: $places run at a time on this host"
    waits=1 && sleep 0.5
  done
}

# As of a reconcile that waited for a host which was down
[ -n "${DUE:-}" ] || [ "$EXPIRES_AT" -eq 0 ] || [ "$(date +%s)" -lt "$EXPIRES_AT" ] ||
  { say "EXPIRED at $(date -u -d "@$EXPIRES_AT" +%FT%TZ); the next reconcile looks at every bucket" && exit 0; }
mkdir -p "$HOST_ROOT/locks" "$HOST_ROOT/runner"
need util-linux flock && need tar tar && need gzip gzip && need findutils xargs
find_node || need nodejs24 node "Amazon Linux 2 has none, and has ended: replace the host (docs/adopt.md)" && find_node
bring_runner
# One run per 400 MB of memory and per CPU, one alone below 2 GB: the runner, and Flyway's JVM, whose heap may grow to a
# quarter of the memory. A t3.micro's 935 MB hold one beside the system (200 MB), a reconcile and a package manager.
read -r _ memory _ </proc/meminfo # MemTotal, in KiB
cpus=$(nproc)
places=${MAX_RUNS:-$((memory < 2000000 ? 1 : memory / 400000 < cpus ? memory / 400000 : cpus))}
if [ "$BUCKET" != '*' ]; then
  take_turn
  take_place
  exec 7>&- # the listing is still to come, so the uploads until here are covered
  exec "$node" "$runner" run
fi
exec 4>&1 6>"$HOST_ROOT/locks/.reconcile"
code=0
due=$("$node" "$runner" look 5>&1 >&4) || code=1
flock -n 6 || { say "COVERED: another reconcile is under way; this one only looks" && exit "$code"; }
# shellcheck disable=SC2016 # the variables are the inner shell's; xargs would end with a run that is killed
printf '%s' "$due" | xargs -r -n 1 -P "$places" bash -c 'DUE=$1 bash "$0" || exit 1' "$0" || code=1
exit "$code"
