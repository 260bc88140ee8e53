#!/usr/bin/env bash
# One run: brings one database to what its bucket holds now, and leaves a run record in the bucket.
# With `*` for the bucket, a reconcile: looks at each bucket that has a mapping, some at a time, and runs where
# the bucket, its mapping or its target is not as Flyway last judged it.
#
# Carried by the Command document, which sets:
#   BUCKET          the bucket to look at, or *
#   OPERATION       migrate, or repair: first takes failed migrations out of Flyway's history, if that hides nothing
#   SETTLE_SECONDS  how long a bucket must be still before it is migrated
#   EXPIRES_AT      from when on, in seconds since 1970, the run is not begun any more; 0 if it always is
#   PARAMETERS      what the names of this deployment's parameters begin with: /flyway
#   PATTERNS        what a mapping's members must match, as JSON (see deployment/mapping.ts)
#   FAILURES        which failures of a database pass by themselves, as JSON (see records/failures.ts)
# The agent sets:
#   AWS_SSM_REGION_NAME AWS_SSM_INSTANCE_ID SSM_COMMAND_ID
# A test or the local chain may set:
#   HOST_ROOT      folder for locks, work, state and records (/opt/flyway)
#   HOST_RELEASES  folder for Flyway's releases ($HOST_ROOT/releases)
#   MAX_RUNS       how many runs may be under way at once (by memory and CPUs)
#   RETRY_SECONDS  how long a database that cannot be reached or written to is tried again (180)
#   STALL_SECONDS  how long a download may stand still (60)
# A reconcile starts this script once per bucket, with the words `look <bucket>`, and sets:
#   LOOK           its folder, with what all looks need
#   COVERED        1 if another reconcile is under way, so that this one only looks
# No name begins with FLYWAY_: Flyway reads those as its configuration.
# Runs on Amazon Linux 2 and 2023: bash 4.2, jq 1.5. No here-strings: they need room on the disk.
set -euo pipefail
umask 077
export LC_ALL=C.UTF-8 AWS_PAGER="" AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=5
[ -n "${AWS_DEFAULT_REGION:-}" ] || export AWS_DEFAULT_REGION="${AWS_SSM_REGION_NAME:-}"
[ "${1:-}" != look ] || BUCKET=$2

RECORDS=.flyway/runs # below this no notification matches
root=${HOST_ROOT:-/opt/flyway}
work=$root/work/$BUCKET
spool=$root/records/$BUCKET
state=$root/state/$BUCKET # .judged .seen .number .before .begun
ballast=$root/ballast     # given up for the run record when the disk is full
releases=${HOST_RELEASES:-$root/releases}
command_id=${SSM_COMMAND_ID:-unknown}
started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
reason=""                    # why the run ended without Flyway's own result, or what it says beside one
repair_refused=""            # why a repair that was asked for was not done
listed=""                    # 1 once the bucket's listing is there
judged=""                    # 1 once Flyway, or a rule of this host, has judged the bucket's content
uploaded=""                  # 1 once all run records are in the bucket
left=""                      # 1 if a run was killed before this one, and what it saw of the schema is still there
told=""                      # 1 once what it left in the schema is told, or done
attempts=0                   # how often Flyway was started to migrate
SCHEMA="" VERSION="" CONF="" # from the bucket's mapping
mapping="" target=""

say() { printf '%s %s: %s\n' "$(date -u +%H:%M:%S)" "$BUCKET" "$*"; }

die() {
  reason=$1
  [ "$(free_room)" -ge 8192 ] || reason+="; the host's disk is full: make room on the file system of $root"
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

# need <packages> <program>...: installs programs where one is missing, by the first of the packages that there is.
# Each takes more memory than a small host has for several; and its first boot may be installing at this moment: the
# package manager then waits.
need() {
  local packages=$1 package installing
  shift
  ! type -P "$@" >/dev/null || return 0
  exec {installing}>"$root/locks/packages"
  ! type -P flock >/dev/null || flock "$installing"
  for package in $packages; do
    ! type -P "$@" >/dev/null || break
    say "installing $package"
    { dnf -y -q install "$package" || yum -y -q install "$package"; } >&2 || true
    hash -r
  done
  exec {installing}>&-
  for package in "$@"; do type -P "$package" >/dev/null || die "cannot install $package: install it on the host"; done
}

# All that this script and Flyway's own call, and bash. Each line is in the user data too.
need_programs() {
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
}

# ---- Locks. A lock is held by an open file, so it ends with the process, and Flyway inherits it:
# a run that is killed while its Flyway still works keeps the next one waiting.

open_turn() { exec {turn}>"$root/locks/$BUCKET.turn" {next}>"$root/locks/$BUCKET.next"; }

# One run at a time per bucket; a second waits; a third is covered by the one that waits, for its turn or its place.
take_turn() {
  open_turn
  if [ "$OPERATION" = repair ]; then # whoever waits does not repair, so it covers none
    flock -n "$turn" || { say "waiting for the runs before this one"; flock "$turn"; }
  elif ! flock -n "$next"; then
    say "COVERED: a run that waits will look at this bucket after this upload"
    exit 0
  elif ! flock -n "$turn"; then
    say "waiting for the run before this one"
    flock "$turn"
  fi
}

# How many runs share the host: one per 400 MB of memory and per CPU, and one alone below 2 GB, as a host of 2 GiB is
# too. For a run takes up to 400 MB: Flyway's JVM, whose heap may grow to a quarter of the memory, or before it the AWS
# CLI. A t3.micro's 935 MB hold one beside the system (200 MB), a look of a reconcile and a package manager.
places() {
  [ -n "${MAX_RUNS:-}" ] && echo "$MAX_RUNS" && return
  local memory cpus places
  read -r _ memory _ </proc/meminfo # MemTotal, in KiB
  cpus=$(nproc)
  places=$((memory < 2000000 ? 1 : memory / 400000))
  echo $((places < cpus ? places : cpus))
}

# take_place <for what>: a run or a look; each kind has its own places, so that a look waits for no migration.
take_place() {
  local places place said=""
  places=$(places)
  while :; do
    for ((place = 1; place <= places; place++)); do
      exec {held}>"$root/locks/$1.$place"
      flock -n "$held" && return
      exec {held}>&-
    done
    [ "$1" = look ] || [ -n "$said" ] || say "waiting for a place: $places run at a time on this host"
    said=1
    sleep 0.5
  done
}

leave_place() { exec {held}>&-; }

# ---- The disk

# KB
free_room() { df -Pk "$root" | { read -r _ && read -r _ _ _ room _ && echo "$room"; }; }

# Keeps room for a run record, against the day when the disk is full.
keep_room() {
  if [ "$(free_room)" -lt 8192 ]; then
    rm -f "$ballast"
  elif [ ! -s "$ballast" ]; then
    head -c 4194304 /dev/zero >"$ballast"
  fi
}

# ---- The bucket

# What the bucket holds now. objects: key, version, ETag, size, time; run records are not among them. newestChange: by
# S3's clock, deletions included. number: of the newest run record.
list_bucket() {
  aws s3api list-object-versions --bucket "$BUCKET" --output json >"$1.versions" || return
  jq -cn '[inputs] as $pages | [$pages[].Versions // [] | .[]] as $versions
    | {objects: ([$versions[]
        | select(.IsLatest and (.Key | startswith(".flyway/") or endswith("/") | not))
        | {key: .Key, versionId: .VersionId, eTag: (.ETag | gsub("\""; "")), size: .Size, lastModified: .LastModified}]
        | sort_by(.key)),
       newestChange: ([$versions[], ($pages[].DeleteMarkers // [] | .[]) | .LastModified] | max),
       number: ([$versions[].Key | capture("^[.]flyway/runs/(?<number>[0-9]{8})-") | .number | tonumber] | max // 0)}' \
    "$1.versions" >"$1.new" && mv "$1.new" "$1"
}

# Refuses the keys that the AWS CLI would turn into another file's name, or leave out.
refuse_odd_keys() {
  jq -c '.objects[] | select(.key | split("/") | any(. == "" or . == "." or . == ".."))
    | {key, message: "its key is no file name, because of an empty part, \u0027.\u0027 or \u0027..\u0027", remedy: "delete it"}' \
    "$work/listing.json" >"$work/refused.json"
}

# Takes the bucket exactly as it is, once it has been still for SETTLE_SECONDS: the listing before the
# wait and the listing after the copy are the same, so the copy is that listing.
take_objects() {
  local round
  retry list_bucket "$work/listing.json" || die "cannot list the bucket"
  listed=1
  for ((round = 1; round <= 100; round++)); do
    refuse_odd_keys
    [ ! -s "$work/refused.json" ] || return 0 # nothing will be migrated
    sleep "$SETTLE_SECONDS"
    rm -rf "$work/sql"
    mkdir "$work/sql"
    retry aws s3 sync "s3://$BUCKET" "$work/sql" --exclude '.flyway/*' --only-show-errors ||
      die "cannot copy the bucket; nothing was migrated"
    retry list_bucket "$work/after.json" || die "cannot list the bucket"
    if cmp -s "$work/listing.json" "$work/after.json"; then
      [ "$(find "$work/sql" -type f -print0 | tr -dc '\0' | wc -c)" -eq "$(jq '.objects | length' "$work/listing.json")" ] ||
        die "not every object could be copied; nothing was migrated"
      # Flyway would run .sh, .py and other scripts as migrations and callbacks, on this host and as this user
      find "$work/sql" -type f ! -name '*.sql' -delete
      return
    fi
    say "the bucket changes; waiting until it is still"
    mv "$work/after.json" "$work/listing.json"
  done
  die "the bucket did not come to rest"
}

# ---- What the host remembers of a bucket. All of it may be lost, or half written when the host's power failed.

# Of what Flyway judges by: the same again is the same verdict again.
fingerprint() {
  { jq -c .objects "$1" && printf '%s\n' "$mapping" "$target" && declare -f; } | sha256sum | cut -c 1-64
}

# Whether the bucket is as Flyway last judged it, not longer ago than a day, and no run has begun since and not ended.
is_judged() {
  local age
  [ -s "$state.judged" ] && [ ! -s "$state.begun" ] || return
  age=$(($(date +%s) - $(date -r "$state.judged" +%s)))
  [ "$age" -ge 0 ] && [ "$age" -lt 86400 ] && [ "$(cat "$state.judged")" = "$(fingerprint "$1")" ]
}

remember() {
  [ -n "$listed" ] || return 0
  [ -z "$uploaded" ] || jq -c .objects "$work/listing.json" >"$state.seen"
  [ -n "$judged" ] || return 0
  fingerprint "$work/listing.json" >"$state.judged"
  # A refusal may stand between a run that was killed and the one that can tell what it left
  [ -n "$left" ] && [ -z "$told" ] || rm -f "$state.before"
}

# Writes down that this run has begun; it is taken back when there is its record. What stands there already is of runs
# that were killed, and goes into the record.
begin() {
  jq -cR 'fromjson? | objects | {commandId, startedAt} | select(.commandId | strings)
    | select(.startedAt | strings | test("^[0-9-]{10}T[0-9:]{8}Z$"))' "$state.begun" 2>/dev/null |
    tail -n 20 >"$work/interrupted.json" || true
  {
    cat "$work/interrupted.json" &&
      jq -cn --arg id "$command_id" --arg started "$started" '{commandId: $id, startedAt: $started}'
  } >"$state.begun.new" && mv "$state.begun.new" "$state.begun"
}

# As a filter of jq's: the objects of $listing[0] that $seen[0] has not.
# shellcheck disable=SC2016 # the variables are jq's
UNSEEN='($seen[0] | map({key: "\(.versionId)/\(.key)", value: true}) | from_entries) as $known
  | $listing[0].objects[] | select($known["\(.versionId)/\(.key)"] | not)'

# ---- Flyway

parameter() {
  aws ssm get-parameter --name "$PARAMETERS/$1" --query Parameter.Value --output text
}

# What is done with this bucket. Nothing of it has been checked by Systems Manager.
read_mapping() {
  local fields
  mapping=$(retry parameter "s3-mapping/$BUCKET") ||
    die "the bucket has no mapping: parameter $PARAMETERS/s3-mapping/$BUCKET cannot be read"
  fields=$(printf '%s' "$mapping" | jq -r --argjson patterns "$PATTERNS" '
    def matching($name; $pattern): if type == "string" and test("\\A(?:\($patterns[$pattern]))\\z") then .
      else error("\($name) \(tojson) does not match \($patterns[$pattern])") end;
    def member($name): .[$name] | matching($name; $name);
    member("schema"), member("flywayVersion"), member("flywayConf"),
    "-baselineVersion=\(if .baselineVersion == null then "0" else member("baselineVersion") end)",
    (if .outOfOrder == true then "-outOfOrder=true" else empty end),
    (.placeholders // {} | to_entries | .[] | (.key | matching("placeholder"; "placeholder"))
      + "=" + (.value | matching("placeholder"; "placeholderValue")) | "-placeholders.\(.)")') ||
    die "parameter $PARAMETERS/s3-mapping/$BUCKET is no valid mapping: apply the Terraform configuration again"
  mapfile -t settings < <(printf '%s\n' "$fields")
  SCHEMA=${settings[0]} VERSION=${settings[1]} CONF=${settings[2]}
  settings=("${settings[@]:3}")
  release=$releases/$VERSION
}

# Where the database is.
read_target() {
  target=$(retry parameter "target/$CONF") ||
    die "no target is named $CONF: parameter $PARAMETERS/target/$CONF cannot be read"
  url=$(printf '%s' "$target" | jq -r .url)
  case $url in *\?*) url+='&' ;; *) url+='?' ;; esac
  url+=allowLocalInfile=false # else LOAD DATA LOCAL INFILE reads this host's files
  driver=()
  encrypt_connection
}

# Has the connection encrypted and verified, as the target says. MariaDB's driver is in each release of Flyway; its 2
# heeds useSsl, its 3 sslMode, and each passes over what it does not know. Before 8.2 there is MySQL's own too, which
# takes no PEM file. A URL that sets its own options of TLS is left alone.
encrypt_connection() {
  local tls
  [[ ! ${url,,} =~ [?\&][^=\&]*(ssl|tls|trust|keystore)[^=\&]*= ]] || return 0
  driver=(-driver=org.mariadb.jdbc.Driver)
  url+="&permitMysqlScheme=true" # 3 is else for jdbc:mariadb alone
  tls=$(printf '%s' "$target" | jq -r '.tls // "verified"')
  case $tls in
    verified)
      take_ca
      url+="&useSsl=true&sslMode=verify-full&serverSslCert=ca.pem" # in $work, where Flyway is started
      ;;
    unverified) url+="&useSsl=true&trustServerCertificate=true&sslMode=trust" ;;
    cleartext) url+="&useSsl=false&sslMode=disable" ;;
    *) die "the target $CONF has the tls \"$tls\", not verified, unverified or cleartext: apply the Terraform configuration again" ;;
  esac
}

# The authorities that a database's certificate is verified with: Amazon's, or the target's own.
take_ca() {
  local ca_url ca_sha256 file
  ca_url=$(printf '%s' "$target" | jq -r '.ca.url // ""')
  ca_sha256=$(printf '%s' "$target" | jq -r '.ca.sha256 // ""')
  [ -n "$ca_url" ] || die "the target $CONF names no CA certificates: apply the Terraform configuration again"
  file=$root/ca/$ca_sha256.pem
  mkdir -p "${file%/*}"
  if ! is_sha256 "$ca_sha256" "$file"; then
    download "$ca_url" "$file.$BUCKET" || die "cannot download the CA certificates from $ca_url"
    is_sha256 "$ca_sha256" "$file.$BUCKET" || die "the CA certificates from $ca_url do not have the SHA-256 $ca_sha256"
    mv "$file.$BUCKET" "$file"
  fi
  cp "$file" "$work/ca.pem"
}

# Who logs in: into shell variables that are not exported. A rotated secret may be the former one for a minute.
read_secret() {
  local secret arn word
  arn=$(printf '%s' "$target" | jq -r .secret)
  secret=$(retry aws secretsmanager get-secret-value --secret-id "$arn" --query SecretString --output text) ||
    die "cannot read the database's secret"
  # printf is a builtin: the secret appears in no process list, and a pipe leaves no file
  user=$(printf '%s' "$secret" | jq -r '.username | strings' 2>/dev/null) || true
  password=$(printf '%s' "$secret" | jq -r '.password | strings' 2>/dev/null) || true
  [ -n "$user" ] && [ -n "$password" ] || die "the secret $arn has no username and password: it must be JSON with both"
  for word in "$user" "$password"; do
    case $word in # what Flyway makes of its environment
      *\$\{*.*\}*) die "the secret $arn has \${…} in its password, which Flyway would take for a placeholder: change the password" ;;
      ' '* | *' ') die "the secret $arn has a space at an end of its password, which Flyway would take away: change the password" ;;
    esac
  done
}

# download <URL> <file>: ends where nothing comes any more. The AWS CLI gives up a connection by itself after 60 s
# without a byte (https://docs.aws.amazon.com/cli/latest/reference/#options, --cli-read-timeout), and tries it again.
# Below 1 KB/s, the ten hours that a run has bring 36 MB, and no Flyway is that small.
download() {
  case $1 in
    file://*) cp "${1#file://}" "$2" ;;
    s3://*) retry aws s3 cp --only-show-errors "$1" "$2" ;;
    *) curl -fsSL --retry 3 --connect-timeout 20 --speed-limit 1000 --speed-time "${STALL_SECONDS:-60}" -o "$2" "$1" ;;
  esac
}

# is_sha256 <sum> <file>
is_sha256() { printf '%s  %s\n' "$1" "$2" | sha256sum -c --status 2>/dev/null; }

# Installs the asked release where it is missing: a new version needs no new host.
install_flyway() {
  [ ! -x "$release/flyway" ] || return 0
  local archive url sha256 partial
  mkdir -p "${release%/*}"
  exec {installing}>"$root/locks/install.$VERSION"
  flock "$installing"
  if [ ! -x "$release/flyway" ]; then
    # What an installation left that was killed
    find "${release%/*}" -maxdepth 1 -name '.partial.*' -mmin +1440 -exec rm -rf {} +
    archive=$(retry parameter "archive/$VERSION") ||
      die "Flyway $VERSION has no archive: add its URL and SHA-256 to flyway_archives"
    url=$(printf '%s' "$archive" | jq -r .url)
    sha256=$(printf '%s' "$archive" | jq -r .sha256)
    say "installing Flyway $VERSION"
    partial=$(mktemp -d "${release%/*}/.partial.XXXXXX")
    download "$url" "$partial/archive" || { rm -rf "$partial"; die "cannot download Flyway $VERSION from $url"; }
    is_sha256 "$sha256" "$partial/archive" || {
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

# start_flyway <options and commands>: Flyway's output is stdout. Its JVM lives for seconds: without the compiler and the
# collector that pay for servers it needs half of the processor's time, and less memory.
start_flyway() {
  # A 7.x does not know it
  [ "${VERSION%%.*}" -lt 9 ] || set -- -skipCheckForUpdate "$@"
  cd "$work"
  JAVA_ARGS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC ${JAVA_ARGS:-}" \
    FLYWAY_URL=$url FLYWAY_USER=$user FLYWAY_PASSWORD=$password \
    exec "$release/flyway" ${driver[@]+"${driver[@]}"} "-schemas=$SCHEMA" -connectRetries=3 "$@" </dev/null
}

# Flyway's own JSON goes to $work/<first command>.json. Fails where Flyway does, by its exit code or by its JSON: it may
# say 0 of a migration that failed.
flyway() {
  local code=0 options=(-outputType=json "-locations=filesystem:$work/sql"
    -baselineOnMigrate=true # at version 0 if not set: a schema that is not empty gets its V1 too
    -validateMigrationNaming=true "${settings[@]}")
  [ "${VERSION%%.*}" -lt 9 ] || options+=(-failOnMissingLocations=true)
  # From 11.15 on it tells the statement that failed with -X alone; that adds nothing else to JSON, or to stderr
  ! is_at_least 11 9 || options+=(-X)
  result=$work/$1.json
  (start_flyway "${options[@]}" "$@" >"$result") || code=$?
  if ! read_result "$*"; then
    tail -c 8000 "$result" | jq -Rs --arg said "Flyway's $1 ended with exit code $code and no result that can be read" \
      '{error: {errorCode: "FAULT", message: ("\($said)\n" + .)}}' >"$result.new" && mv "$result.new" "$result"
    [ "$code" -ne 0 ] || code=1
  elif [ "$code" -eq 0 ] && [ "$(jq -r '.error != null' "$result")" != false ]; then
    code=1
  fi
  return "$code"
}

# is_at_least <major> <minor>: whether the asked Flyway is that new.
is_at_least() {
  local minor=${VERSION#*.}
  [ "${VERSION%%.*}" -gt "$1" ] || { [ "${VERSION%%.*}" -eq "$1" ] && [ "${minor%%.*}" -ge "$2" ]; }
}

# read_result <commands>: gives Flyway's result one shape, whatever release it is of. Where one of several commands
# failed, it is the result of that one; an error has the two codes that some releases have in its message alone.
read_result() {
  jq -c --arg commands "$1" '
    def line($name): "\n\(.message // "")" | [capture("\n\($name) +: (?<value>[^\n]+)") | .value] | .[0];
    ([.individualResults // [] | .[] | select(.error != null)][0] // .)
    | if .error != null then .error |= (.sqlState = (.sqlState // line("SQL State"))
        | .sqlErrorCode = (.sqlErrorCode // (line("Error Code") | if . then tonumber else . end)))
      elif [.individualResults // [.] | .[] | select(.success != false) | .operation] == ($commands | split(" ")) then .
      else error("this is not what \($commands) says") end' "$result" >"$result.new" 2>/dev/null &&
    [ -s "$result.new" ] && mv "$result.new" "$result"
}

# The schema's tables, columns and indexes, and the database's time, a line of JSON each. By a callback, because Flyway
# is the only client here; it prints what a callback selects, but not together with its own JSON.
look_at_schema() {
  mkdir -p "$work/look"
  cat >"$work/look/beforeInfo__look.sql" <<SQL
SELECT JSON_OBJECT('look', 'time', 'name', DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%dT%H:%i:%sZ'), 'is', '');
SELECT JSON_OBJECT('look', 'table', 'name', TABLE_NAME, 'is', COALESCE(ENGINE, TABLE_TYPE))
  FROM information_schema.TABLES WHERE TABLE_SCHEMA = '$SCHEMA' AND TABLE_NAME <> 'flyway_schema_history';
SELECT JSON_OBJECT('look', 'column', 'name', CONCAT(TABLE_NAME, '.', COLUMN_NAME), 'is', CONCAT_WS(' ', COLUMN_TYPE,
    IF(IS_NULLABLE = 'NO', 'NOT NULL', NULL), CONCAT('DEFAULT ', COLUMN_DEFAULT), NULLIF(EXTRA, '')))
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '$SCHEMA' AND TABLE_NAME <> 'flyway_schema_history';
SELECT JSON_OBJECT('look', 'index', 'name', CONCAT(TABLE_NAME, '.', INDEX_NAME), 'is', CONCAT(
    IF(MIN(NON_UNIQUE) = 0, 'UNIQUE ', ''), '(', GROUP_CONCAT(COALESCE(COLUMN_NAME, 'an expression') ORDER BY SEQ_IN_INDEX), ')'))
  FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = '$SCHEMA' AND TABLE_NAME <> 'flyway_schema_history'
  GROUP BY TABLE_NAME, INDEX_NAME;
SQL
  (start_flyway "-locations=filesystem:$work/look" info) >"$work/look.txt" 2>&1 || return
  # MySQL sorts an object's keys, MariaDB does not
  sed -n 's/^| \({.*}\) *|$/\1/p' "$work/look.txt" | jq -c 'select(.look)' >"$1.new" && [ -s "$1.new" ] && mv "$1.new" "$1"
}

# Whether Flyway's last result is a failure of the database that passes by itself, so that it is worth another try. As
# failureOf of records/failures.ts.
is_passing() {
  jq -r --argjson failures "$FAILURES" '.error // {} | select(.errorCode == "DB_CONNECTION")
    | select(.message | test("\nLocation +: ") | not) | . as $error | ($error.sqlErrorCode // 0) as $code
    | def says: .said as $said | $said == null or ($error.message | test($said));
      [$failures[] | select(if .codes then (.codes | any(. == $code)) and says
        elif .said then $code <= 0 and says
        else .state as $state | $error.sqlState // "" | startswith($state) end)][0] // {}
    | select(.passes) | "yes"' "$result" 2>/dev/null | grep -q yes
}

# The files of the bucket with nothing in them, not even a comment.
find_blank_files() {
  local file
  blank=()
  while IFS= read -r -d '' file; do
    [ -n "$(LC_ALL=C tr -d ' \t\r\n\357\273\277' <"$file" | head -c 1)" ] || blank+=("$file")
  done < <(find "$work/sql" -type f -size -65c -print0)
}

# Flyway would take an empty file for applied, and its content for an edit ever after.
refuse_blank_files() {
  local file
  for file in "${blank[@]}"; do
    jq -c --arg file "$file" --arg location "$work/sql/" '[.migrations[] | select(.filepath == $file).state] | last // ""
      | select(test("^(Pending|Ignored|Outdated)$"))
      | {key: $file[($location | length):], message: "it is empty", remedy: "upload it again with its statements, or delete it"}' \
      "$work/info.json" >>"$work/refused.json" || die "Flyway's info cannot be read"
  done
}

# Ends the run where a file is refused that would hold back others.
stop_if_refused() {
  [ -s "$work/refused.json" ] || return 0
  judged=1
  die "nothing was migrated: $(jq -r '"\(.key): \(.message); \(.remedy)"' "$work/refused.json")"
}

# Flyway's repair also takes edited and deleted files for the truth, so it is done only where there are none.
repair() {
  flyway info && flyway validate || return
  repair_refused=$(jq -rn --slurpfile info "$work/info.json" --slurpfile validate "$work/validate.json" '
    if ([$info[0].migrations[] | select(.state | startswith("Failed"))] == []) then
      "there is nothing to repair: Flyway has no failed migration in its history"
    else [$validate[0].error.message // empty, ($validate[0].invalidMigrations // [] | .[].errorDetails
      | select(.errorCode | test("^FAILED_|^OUTDATED_|_NOT_APPLIED$") | not) | .errorMessage)]
      | if . == [] then "" else "a repair would hide this: \(join("; "))" end
    end') || repair_refused="Flyway's info and validate cannot be read"
  rm -f "$work/info.json" "$work/validate.json" # they are of before the migration
  if [ -n "$repair_refused" ]; then
    say "REPAIR REFUSED: $repair_refused" >&2
    return
  fi
  say "repairing Flyway's history of schema $SCHEMA"
  flyway repair
}

attempt() {
  attempts=$((attempts + 1))
  read_secret
  # Of a run that was killed, what it saw stays: what has come since is its doing
  [ -s "$state.before" ] || [ -n "$tried" ] || look_at_schema "$state.before" || true
  [ ! -s "$state.before" ] || cp "$state.before" "$work/before.look"
  if [ "$OPERATION" = repair ] && [ ! -e "$work/repair.json" ] && [ -z "$repair_refused" ]; then
    repair || return
  fi
  if [ "${#blank[@]}" -gt 0 ]; then
    flyway info || return
    refuse_blank_files
    stop_if_refused
  fi
  flyway migrate info
}

# Migrates; a database that is resuming, failing over or rotating its password is given time, RETRY_SECONDS in all.
migrate() {
  local code=0 deadline=$((SECONDS + ${RETRY_SECONDS:-180})) tried=""
  say "migrating schema $SCHEMA with Flyway $VERSION"
  while :; do
    code=0
    attempt || code=$?
    [ "$code" -ne 0 ] && is_passing && [ "$SECONDS" -lt "$deadline" ] && [ "$attempts" -lt 60 ] || break
    # From here on, a look would see what this run did
    grep -q 'Unable to obtain connection' "$result" || tried=1
    say "the database is not ready, trying again: $(jq -r '.error.message | split("\n---")[0] | ltrimstr("\n")' "$result")" >&2
    sleep 5
  done
  if [ "$code" -eq 0 ]; then
    judged=1 told=1
  elif is_passing; then
    say "gave up after $attempts attempts" >&2
  else
    # The result is Flyway's word on the content, unless the connection, the JVM or Flyway's lock let it down
    ! jq -r '.error // {} | select(.errorCode | strings) | select(.message | test("MySQL named lock") | not)
      | select((.errorCode | test("^(DB_CONNECTION|FAULT)$") | not) or (.message | test("\nLocation +: "))) | "judged"' \
      "$result" 2>/dev/null | grep -q judged || judged=1
    [ "$result" = "$work/migrate.json" ] || cp "$result" "$work/migrate.json"
    flyway info || true # what stands where, for the record
    flyway validate || true
    note_what_landed
    [ ! -s "$work/landed.json" ] || told=1
  fi
  refuse_ignored_files
  [ "$code" -ne 0 ] || hear_of_ignored_files
  return "$code"
}

# Which statement failed, and what of the file is in the schema now: MySQL cannot take DDL back.
note_what_landed() {
  local file line
  jq -c '.error.message // "" | capture("Location +: (?<file>[^\n]+) [(][^\n]*[)]\nLine +: (?<line>[0-9]+)\nStatement +: (?<statement>[\\s\\S]*)")
    | .line |= tonumber | .statement |= rtrimstr("\n")' "$work/migrate.json" >"$work/failed.json" 2>/dev/null || true
  # A run that was killed may have left a failed migration, and no word of it
  [ -s "$work/failed.json" ] || [ -z "$left" ] || jq -c '[.migrations[] | select(.state == "Failed")] | last // empty
    | {file: .filepath, line: null, statement: null}' "$work/info.json" >"$work/failed.json" 2>/dev/null || true
  [ -s "$work/failed.json" ] || return 0
  file=$(jq -r .file "$work/failed.json")
  line=$(jq -r '.line // 1000000' "$work/failed.json")
  [ -z "$left" ] || line=1000000 # the run that was killed may have gone further
  [ -f "$file" ] || return 0
  look_at_schema "$work/after.look" || true
  : >>"$work/before.look"
  : >>"$work/after.look"
  jq -r '.name | ascii_downcase | split(".")[]' "$work/before.look" "$work/after.look" | sort -u >"$work/names.txt"
  head -n "$line" "$file" | names_in >"$work/own.names"
  jq -cn --arg location "$work/sql/" --arg file "$file" --slurpfile before "$work/before.look" --slurpfile info "$work/info.json" '
    ($before | map(select(.look == "time")) | .[0].name) as $since
    | [$info[0].migrations // [] | .[] | select($since != null)
        | select(.state == "Success" and .filepath != "" and .filepath != $file and .installedOnUTC >= $since)
        | .filepath[($location | length):]]' >"$work/others.json" || echo '[]' >"$work/others.json"
  jq -r '.[]' "$work/others.json" | while IFS= read -r other; do cat "$work/sql/$other"; echo; done | names_in >"$work/others.names"
  jq -cn --arg location "$work/sql/" --slurpfile failed "$work/failed.json" --slurpfile before "$work/before.look" \
    --slurpfile after "$work/after.look" --slurpfile own "$work/own.names" \
    --slurpfile others "$work/others.json" --slurpfile theirs "$work/others.names" '
    def looks: map(select(.look != "time") | {key: "\(.look) \(.name)", value: .}) | from_entries;
    def names: .[0] | map({key: ., value: true}) | from_entries;
    def is_in($names): .name | ascii_downcase | split(".") | all(. == "primary" or $names[.]);
    ($before | looks) as $was | ($after | looks) as $is | ($own | names) as $own | ($theirs | names) as $theirs
    | [($was + $is) | keys[] | select($was[.].is != $is[.].is) | . as $id
        | {kind: ($is[$id] // $was[$id]).look, name: ($is[$id] // $was[$id]).name, before: $was[$id].is, after: $is[$id].is}
        | select($others[0] == [] or is_in($own)) | .shared = is_in($theirs)] as $changes
    | {key: $failed[0].file[($location | length):], line: $failed[0].line,
       statement: ($failed[0].statement // null | if . then .[0:2000] else . end), applied: $others[0],
       changes: (if $before == [] or $after == [] then null else $changes[0:200] end),
       moreChanges: ([($changes | length) - 200, 0] | max)}' >"$work/landed.json" || rm -f "$work/landed.json"
}

# Those names of the schema, in small letters, that SQL has in it. By words, for jq takes minutes for those of a megabyte.
names_in() { tr 'A-Z \t\r\f\v`"(),;.' 'a-z\n' | sort -u | comm -12 "$work/names.txt" - | jq -Rnc '[inputs]'; }

# The .sql files that Flyway passes over without a word.
refuse_ignored_files() {
  cat "$work/migrate.json" "$work/info.json" 2>/dev/null | jq -cn --slurpfile listing "$work/listing.json" --arg location "$work/sql/" '
    [inputs | .individualResults // [.] | .[] | select(.operation == "info" or has("allSchemasEmpty"))] | last
    | select(.migrations | type == "array") | (.migrations | map({key: .filepath, value: true}) | from_entries) as $known
    | $listing[0].objects[] | select(.key | test("[.]sql$"; "i")) | select($known[$location + .key] | not)
    | select(.key | split("/") | last | test("^((before|after)(Each)?[A-Z][A-Za-z]*|createSchema)(__.*)?[.]sql$") | not)
    | {key, remedy: "upload it again under such a name, and delete this one", message: (if .key | endswith(".sql")
        then "Flyway takes no notice of it: a migration is named V<version>__<description>.sql or R__<description>.sql"
        else "Flyway takes no notice of it: a migration\u0027s name ends in .sql, in small letters" end)}' \
    >>"$work/refused.json" || true
}

# A run that leaves aside what no run saw before is not green, even where Flyway is content.
hear_of_ignored_files() {
  local news
  [ -s "$work/refused.json" ] || return 0
  [ -s "$state.seen" ] && cp "$state.seen" "$work/seen.json" || echo '[]' >"$work/seen.json"
  news=$(jq -rn --slurpfile refused "$work/refused.json" --slurpfile listing "$work/listing.json" \
    --slurpfile seen "$work/seen.json" "[$UNSEEN"' | .key] as $unseen
    | [$refused[] | select(.key as $key | $unseen | index([$key])) | "\(.key): \(.message); \(.remedy)"] | join("; ")')
  [ -z "$news" ] || die "$news"
}

# ---- The run record, written in a trap, where a bare `return` would return the status from before

# Flyway's JSON of one command, without Java's stack traces; its plain text where it is not JSON.
flyway_json() {
  [ -s "$work/$1.json" ] || { echo null; return 0; }
  jq -c 'del(.. | .stackTrace?, .cause?, .exception?) | (.. | strings | select(length > 8000)) |= .[0:8000] + "…"' \
    "$work/$1.json" 2>/dev/null ||
    tail -c 8000 "$work/$1.json" | jq -Rs '{error: {errorCode: "ERROR", message: .}}'
}

# One more than the newest run record that this host or the bucket knows of: records are in the order of the runs,
# whatever the clocks of two hosts say.
next_number() {
  local here there
  here=$(cat "$state.number" 2>/dev/null) || true
  there=$(jq -r .number "$work/listing.json" 2>/dev/null) || true
  [[ $here =~ ^[0-9]{1,8}$ ]] || here=0
  [[ $there =~ ^[0-9]{1,8}$ ]] || there=0
  here=$((10#$here)) there=$((10#$there))
  number=$(((here > there ? here : there) + 1))
  [ "$number" -lt 100000000 ] || number=99999999
  echo "$number" >"$state.number"
}

# Writes the record of this run into the spool; a record that could not be uploaded stays there.
write_record() {
  local part
  mkdir -p "$spool" "$work" || return 1
  for part in migrate info validate repair; do flyway_json "$part" >"$work/$part.part" || return 1; done
  [ -s "$work/listing.json" ] || echo '{"objects": [], "newestChange": null}' >"$work/listing.json" || return 1
  : >>"$work/refused.json" || return 1
  : >>"$work/landed.json" || return 1
  : >>"$work/before.look" || return 1
  : >>"$work/interrupted.json" || return 1
  next_number || return 1
  jq -n --arg commandId "$command_id" --arg bucket "$BUCKET" --arg schema "$SCHEMA" --argjson number "$number" \
    --arg host "${AWS_SSM_INSTANCE_ID:-unknown}" --arg flywayVersion "$VERSION" --arg operation "$OPERATION" \
    --arg flywayConf "$CONF" --arg startedAt "$started" --arg repairRefused "$repair_refused" \
    --arg finishedAt "$(date -u +%Y-%m-%dT%H:%M:%SZ)" --arg location "$work/sql" --arg reason "$reason" \
    --argjson exitCode "$1" --argjson attempts "$attempts" --slurpfile listing "$work/listing.json" \
    --slurpfile refused "$work/refused.json" --slurpfile landed "$work/landed.json" \
    --slurpfile before "$work/before.look" --slurpfile interrupted "$work/interrupted.json" --slurpfile migrate "$work/migrate.part" --slurpfile repair "$work/repair.part" \
    --slurpfile info "$work/info.part" --slurpfile validate "$work/validate.part" '
    # "migrate info" answers with both results in one, if it is well
    ($migrate[0].individualResults // [$migrate[0], $info[0]]) as $results
    | {recordVersion: 1, number: $number, commandId: $commandId, bucket: $bucket, schema: $schema, host: $host,
       flywayVersion: $flywayVersion, flywayConf: $flywayConf, operation: $operation, startedAt: $startedAt,
       finishedAt: $finishedAt, location: $location, exitCode: $exitCode, attempts: $attempts,
       reason: (if $reason == "" then null else $reason end),
       repairRefused: (if $repairRefused == "" then null else $repairRefused end), interrupted: $interrupted,
       newestChange: $listing[0].newestChange, objects: $listing[0].objects, refused: $refused,
       databaseTime: ([$before[] | select(.look == "time") | .name][0]), halfApplied: $landed[0],
       flyway: {migrate: $results[0], info: $results[1], validate: $validate[0], repair: $repair[0]}}' \
    >"$work/record.json" || return 1
  record=$spool/$(printf %08d "$number")-$(date -u +%Y%m%dT%H%M%S)-$command_id.json
  mv "$work/record.json" "$record" && rm -f "$state.begun"
}

# Brings the spooled records into the bucket, oldest first.
upload_records() {
  local waiting
  for waiting in "$spool"/*.json; do
    [ -s "$waiting" ] || continue
    if ! retry aws s3 cp --only-show-errors "$waiting" "s3://$BUCKET/$RECORDS/${waiting##*/}" 2>"$work/upload.txt"; then
      cat "$work/upload.txt" >&2
      ! grep -q '(NoSuchBucket)' "$work/upload.txt" || rm -rf "$spool"
      return 1
    fi
    rm -f "$waiting"
  done
}

# What a person reads in the command's output.
summarize() {
  jq -r '.flyway as $f
    | (.interrupted[] | "command \(.commandId), begun \(.startedAt), was ended before it could leave a record"),
      ($f.repair.repairActions // [] | .[]),
      ($f.migrate.migrations // [] | .[] | "applied \(.filepath | split("/") | last)"),
      (if $f.migrate != null and $f.migrate.error == null and (($f.migrate.migrations // []) == []) then "nothing new to apply" else empty end),
      (.refused[] | "refused \(.key): \(.message); \(.remedy)"),
      ($f.migrate.error.message // .reason // empty),
      (.halfApplied // empty | "of \(.key), this is in the schema now:",
        (.changes // [] | .[] | "  \(.kind) \(.name): \(.before // "not there") -> \(.after // "not there")"))' "$1"
}

finish() {
  local code=$? applied=0
  trap - EXIT
  set +e
  # A repair that is refused is a migration like any other, and someone is to hear of the refusal
  if ! write_record "$code"; then
    say "cannot write the run record; trying again with more room" >&2
    rm -rf "$ballast" "$work/sql"
    write_record "$code"
  fi
  if [ -s "${record:-}" ]; then
    summarize "$record"
    applied=$(jq '.flyway.migrate.migrations // [] | length' "$record")
    if upload_records; then
      uploaded=1
    else
      say "the run record could not be uploaded; the next run uploads it from $spool. It is:" >&2
      jq -c . "$record" >&2
    fi
  else # nobody can tell what became of the uploads, so the next reconcile runs again
    judged=""
    [ "$code" -ne 0 ] || code=1
  fi
  remember
  rm -rf "$work"
  [ -z "$repair_refused" ] || [ "$code" -ne 0 ] || code=1
  printf '{"flyway":"run","database":"%s","bucket":"%s","exitCode":%d,"applied":%d,"seconds":%d}\n' \
    "$SCHEMA" "$BUCKET" "$code" "$applied" "$SECONDS"
  exit "$code"
}

# A run, once it has its turn.
run() {
  rm -rf "$work" # what a killed run left
  mkdir -p "$work"
  trap finish EXIT
  # The agent sends none: it kills. systemd does, when the host shuts down, to all that runs.
  trap 'reason="the run was ended by a signal, as of a host that shuts down"; exit 143' TERM INT
  need_programs
  begin || true # a full disk is told of below
  if [ -s "$state.before" ] && jq -c . "$state.before" >/dev/null 2>&1; then left=1; else rm -f "$state.before"; fi
  # Uploads until here are in the listing to come, so their runs are covered
  flock -n "$next" || true
  take_place run
  flock -u "$next"
  take_objects
  read_mapping
  read_target
  stop_if_refused
  find_blank_files
  install_flyway
  migrate
}

# ---- Reconcile

# Looks at one bucket for a reconcile: how long its oldest upload has waited for a run, and whether one is due.
look() {
  local listing=$LOOK/$BUCKET.listing
  take_place look
  if ! retry list_bucket "$listing" 2>"$LOOK/$BUCKET.said"; then
    cat "$LOOK/$BUCKET.said" >&2
    ! grep -q '(NoSuchBucket)' "$LOOK/$BUCKET.said" || say "the bucket is gone, but has a mapping: apply the Terraform configuration" >&2
    say "FAILED: cannot list the bucket" >&2
    exit 1
  fi
  if [ -s "$state.seen" ]; then
    jq -rn --slurpfile listing "$listing" --slurpfile seen "$state.seen" --argjson now "$(cat "$LOOK/began")" \
      "[$UNSEEN"' | select(.key | test("[.]sql$"; "i")) | $now - (.lastModified[0:19] + "Z" | fromdate)] | max // 0' \
      >"$LOOK/$BUCKET.age" || true
  fi
  mapping=$(cat "$LOOK/$BUCKET.mapping")
  target=$(cat "$LOOK/target.$(printf '%s' "$mapping" | jq -r '.flywayConf | strings')" 2>/dev/null) || true
  if ! is_judged "$listing"; then
    [ -z "$COVERED" ] || exit 0
    take_turn_or_leave
    leave_place
    run
  elif [ -n "$(ls -A "$spool" 2>/dev/null)" ]; then
    take_turn_or_leave
    mkdir -p "$work"
    upload_records || exit 1
    cp "$listing" "$work/listing.json"
    listed=1 uploaded=1
    remember
    rm -rf "$work"
  fi
}

take_turn_or_leave() {
  open_turn
  flock -n "$turn" || { say "a run is under way"; exit 0; }
}

reconcile() {
  local bucket buckets conf confs failed oldest
  need_programs
  [ "$OPERATION" = migrate ] || die "a repair is of one bucket"
  exec {reconciling}>"$root/locks/.reconcile"
  export LOOK COVERED=""
  flock -n "$reconciling" || { COVERED=1; say "COVERED: another reconcile is under way; this one only looks"; }
  find "$root/work" -maxdepth 1 -name '.look.*' -mmin +1440 -exec rm -rf {} + # what a killed one left
  LOOK=$(mktemp -d "$root/work/.look.XXXXXX")
  trap 'rm -rf "$LOOK"' EXIT
  trap 'exit 143' TERM INT
  date +%s >"$LOOK/began"
  take_place look
  retry list_mappings || die "cannot read the mappings below $PARAMETERS/s3-mapping"
  jq -r --argjson patterns "$PATTERNS" '.Parameters[] | (.Name | split("/") | last)
    | select(test("\\A(?:\($patterns.bucket))\\z"))' "$LOOK/mappings" >"$LOOK/buckets"
  mapfile -t buckets <"$LOOK/buckets"
  for bucket in ${buckets[@]+"${buckets[@]}"}; do
    jq -r --arg bucket "$bucket" '.Parameters[] | select(.Name | endswith("/" + $bucket)) | .Value' "$LOOK/mappings" >"$LOOK/$bucket.mapping"
  done
  mapfile -t confs < <(jq -r --argjson patterns "$PATTERNS" '[.Parameters[].Value | try (fromjson | .flywayConf) catch empty | strings
    | select(test("\\A(?:\($patterns.flywayConf))\\z"))] | unique | .[]' "$LOOK/mappings")
  for conf in ${confs[@]+"${confs[@]}"}; do
    retry parameter "target/$conf" >"$LOOK/target.$conf" || true # its buckets' runs say what is wrong
  done
  leave_place
  # A look that is killed would end xargs
  # shellcheck disable=SC2016 # the variables are the inner shell's
  xargs -r -n 1 -P "$(places)" bash -c 'bash "$0" look "$1" || : >"$LOOK/$1.failed"' "$0" <"$LOOK/buckets"
  failed=$(find "$LOOK" -name '*.failed' | wc -l)
  oldest=$(cat "$LOOK"/*.age 2>/dev/null | sort -n | tail -n 1) || true
  printf '{"flyway":"reconcile","buckets":%d,"failed":%d,"oldestUploadSeconds":%d}\n' "${#buckets[@]}" "$failed" "${oldest:-0}"
  [ "$failed" -eq 0 ]
}

list_mappings() {
  aws ssm get-parameters-by-path --path "$PARAMETERS/s3-mapping" --output json >"$LOOK/mappings"
}

if [ "${1:-}" = look ]; then
  look
  exit
fi
# Of reconciles that waited for a host which was down, and of those that are more than the agent takes at once
if [ "$EXPIRES_AT" -ne 0 ] && [ "$(date +%s)" -ge "$EXPIRES_AT" ]; then
  say "EXPIRED: it was to begin before $(date -u -d "@$EXPIRES_AT" +%Y-%m-%dT%H:%M:%SZ); the next reconcile looks at every bucket"
  exit 0
fi
mkdir -p "$root/locks" "$root/state" "$root/work"
keep_room
need util-linux flock
if [ "$BUCKET" = '*' ]; then
  reconcile
else
  take_turn
  run
fi
