#!/usr/bin/env bash
# What the Command document runs on the host: brings Node.js and the runner, takes the bucket's turn and a place on this
# host, and hands over to the runner (runner/main.ts). With `*` for the bucket, a reconcile: the runner looks at each
# bucket that has a mapping, and this script runs those that are due, some at a time.
#
# The document sets:
#   BUCKET OPERATION SETTLE_SECONDS PARAMETERS   for the runner: see runner/environment.ts
#   EXPIRES_AT                                   from when on, in seconds since 1970, it is not begun any more; 0: never
#   RUNNER_URL RUNNER_SHA256                     where the runner is, and what it must be
# A test or the local chain may set HOST_ROOT (/opt/flyway) and MAX_RUNS (by memory and CPUs). A reconcile sets DUE for
# its runs. Amazon Linux 2023; bash 4.2. No here-strings: they need room on the disk.
set -euo pipefail
umask 077
export LC_ALL=C.UTF-8 NODE_NO_WARNINGS=1 HOST_ROOT=${HOST_ROOT:-/opt/flyway}

say() { printf '%s %s: %s\n' "$(date -u +%H:%M:%S)" "$BUCKET" "$*"; }
die() { say "FAILED: $*" >&2; exit 1; }

# need <packages> <program>...: installs programs where one is missing, by the first of the packages that there is; one
# package manager at a time, for it takes more memory than a small host has for several.
need() {
  local packages=$1 package installing
  shift
  ! type -P "$@" >/dev/null || return 0
  exec {installing}>"$HOST_ROOT/locks/packages"
  ! type -P flock >/dev/null || flock "$installing"
  for package in $packages; do
    ! type -P "$@" >/dev/null || break
    say "installing $package"
    { dnf -y -q install "$package" || yum -y -q install "$package"; } >&2 || true
    hash -r
  done
  exec {installing}>&-
  type -P "$@" >/dev/null || die "cannot install ${packages##* }: install it on the host"
}

# Amazon Linux 2023 has several releases, each under a name of its own. Amazon Linux 2 has none.
find_node() { node=$(type -P node-24 || type -P node-22 || type -P node-20 || type -P node); }

is_runner() { printf '%s  %s\n' "$RUNNER_SHA256" "$1" | sha256sum -c --status 2>/dev/null; }

bring_runner() {
  runner=$HOST_ROOT/runner/$RUNNER_SHA256.cjs
  ! is_runner "$runner" || return 0
  local partial
  partial=$(mktemp "$HOST_ROOT/runner/.partial.XXXXXX") || die "cannot write to $HOST_ROOT/runner"
  case $RUNNER_URL in
    file://*) cp "${RUNNER_URL#file://}" "$partial" ;;
    *) need "awscli-2 awscli" aws && AWS_RETRY_MODE=standard aws s3 cp --only-show-errors "$RUNNER_URL" "$partial" ;;
  esac || { rm -f "$partial"; die "cannot download the runner from $RUNNER_URL"; }
  is_runner "$partial" || { rm -f "$partial"; die "the runner from $RUNNER_URL does not have the SHA-256 $RUNNER_SHA256"; }
  mv "$partial" "$runner"
}

# How many runs share the host: one per 400 MB of memory and per CPU, and one alone below 2 GB, as a host of 2 GiB is
# too. For a run takes up to 400 MB: the runner, and Flyway's JVM, whose heap may grow to a quarter of the memory. A
# t3.micro's 935 MB hold one beside the system (200 MB), a look of a reconcile and a package manager.
places() {
  [ -z "${MAX_RUNS:-}" ] || { echo "$MAX_RUNS" && return; }
  local memory cpus places
  read -r _ memory _ </proc/meminfo # MemTotal, in KiB
  cpus=$(nproc)
  places=$((memory < 2000000 ? 1 : memory / 400000))
  echo $((places < cpus ? places : cpus))
}

# ---- Locks. A lock is held by an open file, so it ends with the process, and Flyway inherits it, as 8 and 9: a run that
# is killed while its Flyway still works keeps the next one waiting.

# One run at a time per bucket; a second waits; a third is covered by the one that waits, for its turn or its place.
take_turn() {
  exec 8>"$HOST_ROOT/locks/$BUCKET.turn" 7>"$HOST_ROOT/locks/$BUCKET.next"
  if [ -n "${DUE:-}" ]; then
    flock -n 8 || { say "a run is under way"; exit 0; }
  elif [ "$OPERATION" = repair ]; then # whoever waits does not repair, so it covers none
    flock -n 8 || { say "waiting for the runs before this one"; flock 8; }
  elif ! flock -n 7; then
    say "COVERED: a run that waits will look at this bucket after this upload"
    exit 0
  elif ! flock -n 8; then
    say "waiting for the run before this one"
    flock 8
  fi
  flock -n 7 || true # until there is a place: uploads until then are in the listing to come, so their runs are covered
}

take_place() {
  local places place said=""
  places=$(places)
  while :; do
    for ((place = 1; place <= places; place++)); do
      exec 9>"$HOST_ROOT/locks/run.$place"
      ! flock -n 9 || return 0
    done
    [ -n "$said" ] || say "waiting for a place: $places run at a time on this host"
    said=1
    sleep 0.5
  done
}

# Of reconciles that waited for a host which was down, and of those that are more than the agent takes at once
if [ "$EXPIRES_AT" -ne 0 ] && [ "$(date +%s)" -ge "$EXPIRES_AT" ]; then
  say "EXPIRED: it was to begin before $(date -u -d "@$EXPIRES_AT" +%Y-%m-%dT%H:%M:%SZ); the next reconcile looks at every bucket"
  exit 0
fi
mkdir -p "$HOST_ROOT/locks" "$HOST_ROOT/runner"
need coreutils cat cp cut date head mkdir mktemp mv nproc rm sha256sum sleep sync
need util-linux flock
need findutils xargs
need tar tar
need gzip gzip
find_node || need "nodejs24 nodejs22 nodejs20" node && find_node
bring_runner
if [ "$BUCKET" != '*' ]; then
  take_turn
  take_place
  exec 7>&-
  exec "$node" "$runner" run
fi
[ "$OPERATION" = migrate ] || die "a repair is of one bucket"
code=0
exec 6>"$HOST_ROOT/locks/.reconcile" 4>&1
due=$("$node" "$runner" look 5>&1 >&4) || code=1
flock -n 6 || { say "COVERED: another reconcile is under way; this one only looks"; exit "$code"; }
# A run that is killed would end xargs
# shellcheck disable=SC2016 # the variables are the inner shell's
printf '%s' "${due:+$due$'\n'}" | EXPIRES_AT=0 DUE=1 xargs -r -n 1 -P "$(places)" bash -c 'BUCKET=$1 bash "$0" || exit 1' "$0" || code=1
exit "$code"
