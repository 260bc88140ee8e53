#!/usr/bin/env bash
# One run: brings one database to what its bucket holds now, and leaves a run record in the bucket.
#
# Carried by the Command document, which sets:
#   BUCKET          the bucket to look at
#   SETTLE_SECONDS  how long it must be still before it is migrated
#   PARAMETERS      what the names of this deployment's parameters begin with: /flyway
#   PATTERNS        what a mapping's members must match, as JSON (see lambda/mapping.ts)
# The agent sets:
#   AWS_SSM_REGION_NAME AWS_SSM_INSTANCE_ID SSM_COMMAND_ID
# A test or the local chain may set:
#   HOST_ROOT      folder for locks, work and records (/opt/flyway)
#   HOST_RELEASES  folder for Flyway's releases ($HOST_ROOT/releases)
#   MAX_RUNS       how many Flyway processes may run at once (by memory and CPUs)
# No name begins with FLYWAY_: Flyway reads those as its configuration.
# Runs on Amazon Linux 2 and 2023: bash 4.2, jq 1.5.
set -euo pipefail
umask 077
export LC_ALL=C.UTF-8 AWS_PAGER=""
[ -n "${AWS_DEFAULT_REGION:-}" ] || export AWS_DEFAULT_REGION="${AWS_SSM_REGION_NAME:-}"

RECORDS=.flyway/runs # below this no notification matches
root=${HOST_ROOT:-/opt/flyway}
work=$root/work/$BUCKET
spool=$root/records/$BUCKET
releases=${HOST_RELEASES:-$root/releases}
command_id=${SSM_COMMAND_ID:-unknown}
started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
reason="" # why the run ended without Flyway's own result
SCHEMA="" VERSION="" CONF="" # from the bucket's mapping

say() { printf '%s %s: %s\n' "$(date -u +%H:%M:%S)" "$BUCKET" "$*"; }

die() {
  reason=$1
  say "FAILED: $reason" >&2
  exit 1
}

# Runs a command up to three times; the last failure counts.
retry() {
  local attempt
  for attempt in 1 2; do
    if "$@"; then return 0; fi
    say "failed, trying again: $*" >&2
    sleep "$attempt"
  done
  "$@"
}

need() {
  command -v "$1" >/dev/null || {
    say "installing $2"
    { dnf -y -q install "$2" || yum -y -q install "$2"; } >&2 || die "cannot install $2: install it on the host"
  }
}

# ---- Locks. A lock is held by an open file, so it ends with the process, and Flyway inherits it:
# a run that is killed while its Flyway still works keeps the next one waiting.

# One run at a time per bucket; a second waits; a third is covered by the one that waits.
take_turn() {
  exec {turn}>"$root/locks/$BUCKET.turn" {next}>"$root/locks/$BUCKET.next"
  flock -n "$turn" && return
  if ! flock -n "$next"; then
    say "COVERED: a run that waits will look at this bucket after this upload"
    exit 0
  fi
  say "waiting for the run before this one"
  flock "$turn"
  flock -u "$next"
}

# Runs of different buckets share the host: one per 400 MB of memory and per CPU, at least one.
take_place() {
  local places=${MAX_RUNS:-} place
  if [ -z "$places" ]; then
    places=$(awk -v cpus="$(nproc)" '/^MemTotal/ { n = int($2 / 400000); if (n > cpus) n = cpus; print n < 1 ? 1 : n }' /proc/meminfo)
  fi
  while :; do
    for ((place = 1; place <= places; place++)); do
      exec {held}>"$root/locks/place.$place"
      flock -n "$held" && return
      exec {held}>&-
    done
    sleep 0.5
  done
}

# ---- The bucket

# The objects that the bucket holds now: key, version, ETag, size, time. Run records are not among them.
list_objects() {
  aws s3api list-object-versions --bucket "$BUCKET" --output json >"$work/versions.json" || return
  jq -cn --arg records .flyway/ '[inputs | .Versions // [] | .[]
    | select(.IsLatest and (.Key | startswith($records) or endswith("/") | not))
    | {key: .Key, versionId: .VersionId, eTag: (.ETag | gsub("\""; "")), size: .Size, lastModified: .LastModified}]
    | sort_by(.key)' "$work/versions.json" >"$1"
}

# The keys that the AWS CLI would turn into another file's name, or leave out.
odd_keys() {
  jq -r '[.[].key | select(split("/") | any(. == "" or . == "." or . == ".."))] | join(", ")' "$1"
}

# Takes the bucket exactly as it is, once it has been still for SETTLE_SECONDS: the listing before the
# wait and the listing after the copy are the same, so the copy is that listing.
take_objects() {
  local round odd
  retry list_objects "$work/objects.json" || die "cannot list the bucket"
  for ((round = 1; round <= 100; round++)); do
    sleep "$SETTLE_SECONDS"
    rm -rf "$work/sql"
    mkdir "$work/sql"
    retry aws s3 sync "s3://$BUCKET" "$work/sql" --exclude '.flyway/*' --only-show-errors ||
      die "cannot copy the bucket; nothing was migrated"
    retry list_objects "$work/after.json" || die "cannot list the bucket"
    if cmp -s "$work/objects.json" "$work/after.json"; then
      odd=$(odd_keys "$work/objects.json")
      [ -z "$odd" ] || die "no file name, because of an empty part, '.' or '..': $odd; delete it"
      [ "$(find "$work/sql" -type f -print0 | tr -dc '\0' | wc -c)" -eq "$(jq length "$work/objects.json")" ] ||
        die "not every object could be copied; nothing was migrated"
      # Flyway would run .sh, .py and other scripts as migrations and callbacks, on this host and as this user
      find "$work/sql" -type f ! -name '*.sql' -delete
      return
    fi
    say "the bucket changes; waiting until it is still"
    mv "$work/after.json" "$work/objects.json"
  done
  die "the bucket did not come to rest"
}

# ---- Flyway

parameter() {
  aws ssm get-parameter --name "$PARAMETERS/$1" --query Parameter.Value --output text
}

# What is done with this bucket. Nothing of it has been checked by Systems Manager.
read_mapping() {
  local mapping fields
  mapping=$(retry parameter "s3-mapping/$BUCKET") ||
    die "the bucket has no mapping: parameter $PARAMETERS/s3-mapping/$BUCKET cannot be read"
  fields=$(jq -r --argjson patterns "$PATTERNS" '
    def matching($name; $pattern): if type == "string" and test("\\A(?:\($patterns[$pattern]))\\z") then .
      else error("\($name) \(tojson) does not match \($patterns[$pattern])") end;
    def member($name): .[$name] | matching($name; $name);
    member("schema"), member("flywayVersion"), member("flywayConf"),
    "-baselineVersion=\(if .baselineVersion == null then "0" else member("baselineVersion") end)",
    (if .outOfOrder == true then "-outOfOrder=true" else empty end),
    (.placeholders // {} | to_entries | .[] | (.key | matching("placeholder"; "placeholder"))
      + "=" + (.value | matching("placeholder"; "placeholderValue")) | "-placeholders.\(.)")' \
    <<<"$mapping") || die "parameter $PARAMETERS/s3-mapping/$BUCKET is no valid mapping: apply the Terraform configuration again"
  mapfile -t settings <<<"$fields"
  SCHEMA=${settings[0]} VERSION=${settings[1]} CONF=${settings[2]}
  settings=("${settings[@]:3}")
  release=$releases/$VERSION
}

# Installs the asked release where it is missing: a new version needs no new host.
install_flyway() {
  [ ! -x "$release/flyway" ] || return 0
  local archive url sha256 partial
  mkdir -p "${release%/*}"
  exec {installing}>"$root/locks/install.$VERSION"
  flock "$installing"
  if [ ! -x "$release/flyway" ]; then
    archive=$(retry parameter "archive/$VERSION") ||
      die "Flyway $VERSION has no archive: add its URL and SHA-256 to flyway_archives"
    url=$(jq -r .url <<<"$archive")
    sha256=$(jq -r .sha256 <<<"$archive")
    say "installing Flyway $VERSION"
    partial=$(mktemp -d "${release%/*}/.partial.XXXXXX")
    case $url in
      file://*) cp "${url#file://}" "$partial/archive" ;;
      s3://*) retry aws s3 cp --only-show-errors "$url" "$partial/archive" ;;
      *) curl -fsSL --retry 3 --connect-timeout 20 -o "$partial/archive" "$url" ;;
    esac || { rm -rf "$partial"; die "cannot download Flyway $VERSION from $url"; }
    sha256sum -c --status <<<"$sha256  $partial/archive" || {
      rm -rf "$partial"
      die "the archive of Flyway $VERSION from $url does not have the SHA-256 $sha256"
    }
    mkdir "$partial/release"
    tar -xzf "$partial/archive" -C "$partial/release" --strip-components=1 --no-same-owner ||
      { rm -rf "$partial"; die "cannot unpack Flyway $VERSION"; }
    mv "$partial/release" "$release"
    rm -rf "$partial"
  fi
  exec {installing}>&-
}

# Where the database is, and who logs in: into shell variables that are not exported.
read_target() {
  local target secret
  target=$(retry parameter "target/$CONF") ||
    die "no target is named $CONF: parameter $PARAMETERS/target/$CONF cannot be read"
  url=$(jq -r .url <<<"$target")
  case $url in *\?*) url+='&' ;; *) url+='?' ;; esac
  url+=allowLocalInfile=false # else LOAD DATA LOCAL INFILE reads this host's files
  secret=$(retry aws secretsmanager get-secret-value --secret-id "$(jq -r .secret <<<"$target")" \
    --query SecretString --output text) || die "cannot read the database's secret"
  # printf is a builtin: the secret appears in no process list, and a pipe leaves no file
  user=$(printf '%s' "$secret" | jq -r .username)
  password=$(printf '%s' "$secret" | jq -r .password)
}

# Flyway's own JSON goes to $work/<first command>.json.
flyway() {
  local options=(-outputType=json "-schemas=$SCHEMA" "-locations=filesystem:$work/sql"
    -baselineOnMigrate=true # at version 0 if not set: a schema that is not empty gets its V1 too
    -validateMigrationNaming=true -connectRetries=6 "${settings[@]}")
  # A 7.x knows neither
  [ "${VERSION%%.*}" -lt 9 ] || options+=(-failOnMissingLocations=true -skipCheckForUpdate)
  (
    cd "$work"
    FLYWAY_URL=$url FLYWAY_USER=$user FLYWAY_PASSWORD=$password \
      "$release/flyway" "${options[@]}" "$@" </dev/null >"$work/$1.json"
  )
}

migrate() {
  local code=0
  say "migrating schema $SCHEMA with Flyway $VERSION"
  read_target
  flyway migrate info || code=$?
  if grep -q 'Access denied for user' "$work/migrate.json"; then
    say "access denied: reading the secret again, it may just have been rotated"
    sleep 5
    read_target
    code=0
    flyway migrate info || code=$?
  fi
  if [ "$code" -ne 0 ]; then # what stands where, for the record
    grep -q DB_CONNECTION "$work/migrate.json" || { flyway info || true; flyway validate || true; }
  fi
  return "$code"
}

# ---- The run record

# Flyway's JSON of one command, without Java's stack traces; its plain text where it is not JSON.
flyway_json() {
  [ -s "$work/$1.json" ] || { echo null; return; }
  jq -c 'del(.. | .stackTrace?, .cause?)' "$work/$1.json" 2>/dev/null ||
    tail -c 8000 "$work/$1.json" | jq -Rs '{error: {errorCode: "ERROR", message: .}}'
}

# Writes the record of this run into the spool; a record that could not be uploaded stays there.
write_record() {
  mkdir -p "$spool"
  for part in migrate info validate; do flyway_json "$part" >"$work/$part.part"; done
  [ -s "$work/objects.json" ] || echo '[]' >"$work/objects.json"
  jq -n --arg commandId "$command_id" --arg bucket "$BUCKET" --arg schema "$SCHEMA" \
    --arg host "${AWS_SSM_INSTANCE_ID:-unknown}" --arg flywayVersion "$VERSION" \
    --arg flywayConf "$CONF" --arg startedAt "$started" \
    --arg finishedAt "$(date -u +%Y-%m-%dT%H:%M:%SZ)" --arg location "$work/sql" --arg reason "$reason" \
    --argjson exitCode "$1" --slurpfile objects "$work/objects.json" --slurpfile migrate "$work/migrate.part" \
    --slurpfile info "$work/info.part" --slurpfile validate "$work/validate.part" '
    # "migrate info" answers with both results in one
    ($migrate[0].individualResults // [$migrate[0], $info[0]]) as $results
    | {recordVersion: 1, commandId: $commandId, bucket: $bucket, schema: $schema, host: $host,
       flywayVersion: $flywayVersion, flywayConf: $flywayConf, startedAt: $startedAt, finishedAt: $finishedAt,
       location: $location, exitCode: $exitCode, reason: (if $reason == "" then null else $reason end),
       objects: $objects[0],
       flyway: {migrate: $results[0], info: $results[1], validate: $validate[0]}}' >"$work/record.json"
  record=$spool/$(date -u +%Y%m%dT%H%M%S)-$command_id.json
  mv "$work/record.json" "$record"
}

upload_records() {
  local waiting
  for waiting in "$spool"/*.json; do
    [ -e "$waiting" ] || continue
    retry aws s3 cp --only-show-errors "$waiting" "s3://$BUCKET/$RECORDS/${waiting##*/}" || return
    rm -f "$waiting"
  done
}

# What a person reads in the command's output.
summarize() {
  jq -r '.flyway as $f
    | ($f.migrate.migrations // [] | .[] | "applied \(.filepath | split("/") | last)"),
      (if .exitCode == 0 and (($f.migrate.migrations // []) == []) then "nothing new to apply" else empty end),
      ($f.migrate.error.message // .reason // empty)' "$1"
}

finish() {
  local code=$?
  trap - EXIT
  set +e
  write_record "$code" && summarize "$record"
  upload_records || say "the run record could not be uploaded; the next run uploads it from $spool" >&2
  rm -rf "$work"
  exit "$code"
}

mkdir -p "$root/locks"
take_turn
rm -rf "$work" # what a killed run left
mkdir -p "$work"
trap finish EXIT
trap 'reason="the run was cancelled"; exit 143' TERM INT
need jq jq
take_objects
read_mapping
take_place
install_flyway
migrate
