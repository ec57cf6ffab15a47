#!/usr/bin/env bash
#
# Adds the secrets-cache layer to Lambda functions, and leaves everything else about them as it is.
#
# Rules
# -----
# 1. Check everything about a function before changing it. A refused function is not changed.
# 2. One update for each function, with only what differs: Lambda keeps what an update does not name.
# 3. The values of environment variables go from one AWS CLI to the next through a pipe. They are never in a variable,
#    an argument, a file or a message of this script.
# 4. If somebody else changes the function in between, their change wins: Lambda refuses our update then (RevisionId).
# 5. A downloaded zip is used only if its SHA-256 is the one that the release's SHA256SUMS lists.
# 6. Runs with bash 3.2, the AWS CLI 1 or 2, and the tools that both macOS and Linux have. Only --release needs curl,
#    and only --grant needs Python.
set -euo pipefail
set -f
umask 077

usage() {
  cat <<'TEXT'
Adds the secrets-cache layer to Lambda functions. Their other layers and variables stay as they are.

usage: bash deploy.sh [options] FUNCTION [FUNCTION ...]

FUNCTION is the name or the ARN of a function. The region and the credentials are those of your AWS CLI.

  --release VERSION        download this release of the layer, such as 0.2.0; nothing is built
  --zip FILE               use this zip of the layer; default: dist/secrets-cache-layer-ARCHITECTURE.zip
  --cache-timeout MINUTES  set CACHE_TIMEOUT, how long a value is cached; more than 0, at most 43200, decimals allowed
  --replace LAYER          take off another layer, given by its name or ARN; may be given several times
  --exec-wrapper           set AWS_LAMBDA_EXEC_WRAPPER to /opt/get-secrets-layer: secrets as environment variables
  --grant CONFIG           let the function's role read what this config.yaml lists, by an inline policy
  --account ID             let this AWS account use the layer version; may be given several times
  --public                 let every AWS account use the layer version
  --remove                 remove the layer, and whatever the other options here have set
  --dry-run                show what would change, and change nothing
  --layer-name NAME        the name of the layer; default: secrets-cache
  --region REGION          the AWS region
  --profile NAME           the profile of the AWS CLI
  --help                   show this text

SECRETS_CACHE_RELEASES, a variable of your shell, is the address that --release downloads from.

Exit codes: 0 success, 1 problem, 2 wrong usage.
TEXT
}

# Where the releases are. A release writes its own address into the copy of this script that it ships.
RELEASES=''

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
MAX_LAYERS=5
MAX_UNPACKED=262144000 # 250 MB
WRAPPER=/opt/get-secrets-layer
LAYER='^(arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:)?[A-Za-z0-9_-]{1,140}(:[0-9]+)?$'
AWS_LAYER=AWS-Parameters-and-Secrets-Lambda-Extension
AWS_PORT=PARAMETERS_SECRETS_EXTENSION_HTTP_PORT
MINUTES='^([0-9]{1,12}(\.[0-9]{1,9})?|\.[0-9]{1,9})$'
MAX_MINUTES=43200
VERSION='^v?((0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,5})){2})$'
# No user name, because messages show the address.
ADDRESS='^https?://[][A-Za-z0-9.:/_~%+-]+$'
GITHUB='^((https?|ssh|git)://([^/@]+@)?(ssh\.)?github\.com(:[0-9]+)?/|([^/@:]+@)?github\.com:/?)'
GITHUB=$GITHUB'([A-Za-z0-9-]+)/([A-Za-z0-9._-]+)/?$'
SHA256='^[0-9a-f]{64}$'
TAB=$'\t'

say() { printf '%s\n' "$*"; }
complain() { printf 'deploy.sh: %s\n' "$*" >&2; }
wrong_usage() {
  complain "$*"
  say "bash deploy.sh --help lists the options" >&2
  exit 2
}

# --- The command line ---

cache_timeout='' replace='' exec_wrapper='' config='' principals='' remove='' dry_run=''
layer_name=secrets-cache zip='' release=''

check_text() { # option, value, pattern, what is allowed
  [[ $2 =~ $3 ]] || wrong_usage "$1: found '$2'; allowed: $4"
}

check_minutes() { # value
  local allowed="a number of minutes, decimals allowed; more than 0, at most $MAX_MINUTES"
  check_text --cache-timeout "$1" "$MINUTES" "$allowed"
  awk -v n="$1" -v most="$MAX_MINUTES" 'BEGIN { exit !(n + 0 > 0 && n + 0 <= most) }' ||
    wrong_usage "--cache-timeout: found '$1'; allowed: $allowed"
}

set_option() { # option, value
  case $1 in
  --cache-timeout)
    check_minutes "$2"
    cache_timeout=$2
    ;;
  --replace)
    check_text --replace "$2" "$LAYER" "the name or the ARN of a layer"
    replace="$replace $2"
    ;;
  --grant) config=$2 ;;
  --account)
    check_text --account "$2" '^[0-9]{12}$' "the 12 digits of an AWS account"
    principals="$principals $2"
    ;;
  --layer-name)
    check_text --layer-name "$2" '^[A-Za-z0-9_-]{1,140}$' "1 to 140 letters, digits, hyphens and underscores"
    layer_name=$2
    ;;
  --zip) zip=$2 ;;
  --release)
    check_text --release "$2" "$VERSION" "a version such as 0.2.0"
    release=${2#v}
    ;;
  --region)
    check_text --region "$2" '^[a-z]{2,}(-[a-z0-9]+)+-[0-9]+$' "an AWS region such as eu-west-1"
    export AWS_REGION=$2 AWS_DEFAULT_REGION=$2
    ;;
  --profile) export AWS_PROFILE=$2 ;;
  esac
}

# What an ARN contains, if a colon follows it, that --replace means.
part_of() { # name or ARN
  case $1 in arn:*) say "$1:" ;; *) say ":layer:$1:" ;; esac
}

functions=''
only_functions=''
while [ $# -gt 0 ]; do
  case $only_functions$1 in
  --help | -h)
    usage
    exit 0
    ;;
  --exec-wrapper) exec_wrapper=yes ;;
  --public) principals="$principals *" ;;
  --remove) remove=yes ;;
  --dry-run) dry_run=yes ;;
  --cache-timeout | --replace | --grant | --account | --layer-name | --zip | --release | --region | --profile)
    [ -n "${2-}" ] || wrong_usage "$1 needs a value"
    set_option "$1" "$2"
    shift
    ;;
  --cache-timeout=?* | --replace=?* | --grant=?* | --account=?* | --layer-name=?* | --zip=?* | --release=?* | --region=?* | --profile=?*)
    set_option "${1%%=*}" "${1#*=}"
    ;;
  --) only_functions=' ' ;;
  -*) wrong_usage "unknown option, or an option without its value: '$1'" ;;
  *)
    check_text FUNCTION "$1" '^[A-Za-z0-9_:$-]{1,256}$' "the name or the ARN of a function"
    functions="$functions $1"
    ;;
  esac
  shift
done
[ -n "$functions" ] || wrong_usage "no function given"
[ -z "$remove" ] || [ -z "$principals" ] ||
  wrong_usage "--remove cannot be combined with --account or --public; to stop sharing, see docs/deploy.md"
[ -z "$remove" ] || [ -z "$replace" ] ||
  wrong_usage "--remove cannot be combined with --replace: it does not put another layer back"
for one in $replace; do
  case "$(part_of "$one")" in
  *":layer:$layer_name:"*) wrong_usage "--replace: '$one' is this layer, whose other versions are replaced anyway" ;;
  esac
done
[ -z "$release" ] || [ -z "$zip" ] || wrong_usage "--release and --zip cannot be combined: each says which zip to use"
[ -z "$remove" ] || release=''

# --- The tools ---

need() { # program, what to do without it
  command -v "$1" >/dev/null && return 0
  complain "the program '$1' is needed, and is not in PATH; $2"
  exit 1
}

need aws "install the AWS CLI: https://aws.amazon.com/cli"
for program in awk sed unzip base64; do need "$program" "install it with your system's package manager"; done
command -v sha256sum >/dev/null || need shasum "install it, or sha256sum, with your system's package manager"
[ -z "$release" ] || need curl "install it, or download the layer's zip with a browser and use --zip"
temporary=$(mktemp -d "${TMPDIR:-/tmp}/deploy.XXXXXX" 2>/dev/null) || {
  complain "cannot create a folder in '${TMPDIR:-/tmp}'; set TMPDIR to a folder that you can write to"
  exit 1
}
errors=$temporary/errors
trap 'rm -rf "$temporary"' EXIT
trap 'exit 1' HUP INT TERM

# --- The AWS CLI ---

# Text is UTF-8 whatever the locale; nothing is paged. The CLI 1 knows AWS_DEFAULT_REGION only.
export AWS_PAGER='' PYTHONUTF8=1 AWS_CLI_FILE_ENCODING=UTF-8 AWS_CLI_OUTPUT_ENCODING=UTF-8
[ -z "${AWS_REGION-}" ] || export AWS_DEFAULT_REGION=$AWS_REGION

# Runs one command of the AWS CLI. Leaves its answer in $answer or, if it fails, AWS's words in $failure.
answer='' failure=''
call() {
  failure=''
  if answer=$(aws "$@" 2>"$errors" </dev/null); then return 0; fi
  failure=$(tr -s '\n' ' ' <"$errors")
  return 1
}

# Says why a call failed. Some of AWS's messages end in all the variables of the function; that part is left out.
explain() { # function, permission that the call needs
  local words=${failure%%String measured*} permission reason
  words=${words%%\{*}
  words=${words# }
  case $words in
  *"Unable to locate credentials"* | *"Partial credentials"*)
    reason="the AWS CLI found no credentials; sign in with 'aws configure' or 'aws sso login', or choose a --profile"
    ;;
  *"must specify a region"*)
    reason="the AWS CLI found no region; give one, such as --region eu-west-1"
    ;;
  *ExpiredToken* | *"Token has expired"* | *"profile has expired"* | *"SSO Token"*)
    reason="your AWS session has ended; sign in again, for example with 'aws sso login'"
    ;;
  *UnrecognizedClient* | *InvalidClientTokenId* | *SignatureDoesNotMatch* | *InvalidSignature*)
    reason="AWS does not accept your credentials; check them, and this computer's clock: aws sts get-caller-identity"
    ;;
  *AccessDenied* | *"not authorized to perform"*)
    permission=$(printf '%s' "$words" | sed -n 's/.*not authorized to perform:* \([a-z0-9-]*:[A-Za-z]*\).*/\1/p')
    reason="missing permission ${permission:-$2}: your AWS credentials must allow it (docs/deploy.md)"
    ;;
  *"Function not found"*)
    reason="no such function in this region and account; check its name, the region and the profile"
    ;;
  *PreconditionFailed* | *ResourceConflict*)
    reason="somebody else changed it at the same time, so Lambda refused this change; try again"
    ;;
  *"$MAX_UNPACKED"*)
    reason="code and layers together are more than 250 MB unpacked; Lambda did not change the function"
    ;;
  *) reason="the AWS CLI failed" ;;
  esac
  complain "$1: $reason. AWS says: ${words% }"
}

# --- The release ---

# Leaves the address of the releases in $releases: the variable, what this copy was shipped with, or the GitHub
# repository of the project that this script lies in. In any other repository, origin is another project.
releases=''
find_releases() {
  local origin
  releases=${SECRETS_CACHE_RELEASES:-$RELEASES}
  if [ -z "$releases" ] && [ -f "$ROOT/secrets_cache/__init__.py" ]; then
    origin=$(git -C "$ROOT" remote get-url origin 2>/dev/null) || origin=''
    if [[ $origin =~ $GITHUB ]]; then
      releases=https://github.com/${BASH_REMATCH[7]}/${BASH_REMATCH[8]%.git}/releases/download
    fi
  fi
  if [ -z "$releases" ]; then
    complain "--release: the address of the releases is not known; set SECRETS_CACHE_RELEASES to it, such as" \
      "https://github.com/OWNER/REPO/releases/download"
    return 1
  elif [[ ! $releases =~ $ADDRESS ]]; then
    complain "SECRETS_CACHE_RELEASES must be an address such as https://github.com/OWNER/REPO/releases/download," \
      "without a user name and without parameters"
    return 1
  fi
  releases=${releases%/}/v$release
}

# Downloads a file of the release. curl reads no ~/.curlrc, and --proto holds for redirects as well: https only.
download() { # where a message begins, name, where to put it
  local address=$releases/$2 protocols='=https' status words
  case $address in http://*) protocols='=http,https' ;; esac
  if status=$(curl --disable --globoff --silent --show-error --fail --location --max-redirs 5 \
    --proto "$protocols" --connect-timeout 10 --max-time 300 --speed-limit 1000 --speed-time 30 \
    --max-filesize 100000000 --retry 1 --retry-delay 1 \
    --output "$3" --write-out '%{http_code}' "$address" 2>"$errors" </dev/null); then
    return 0
  elif [ "$status" = 404 ]; then
    complain "$1$address was not found (404): no release $release, or none with this file. Check the version, and the" \
      "address, which SECRETS_CACHE_RELEASES sets"
  else
    words=$(sed -n 's/^curl: ([0-9]*) *//p' "$errors" | tail -n 1)
    complain "$1$address could not be downloaded: ${words:-curl failed}." \
      "Try again, or download the layer's zip another way and use --zip"
  fi
  return 1
}

# Downloads the zip for an architecture, once, and leaves its path in $file. A .part that is still there has failed.
download_zip() { # function, architecture
  local name=secrets-cache-layer-$2.zip
  file=$temporary/$name
  [ ! -f "$file" ] || return 0
  if [ -f "$file.part" ]; then
    complain "$1: not changed: the zip for $2 could not be used; the reason is above"
    return 1
  fi
  download_checked "$1" "$name"
}

# Downloads a file of the release into $temporary, and checks it.
download_checked() { # where a message begins, name
  local name=$2 part=$temporary/$2.part expected found
  : >"$part"
  expected=$(awk -v name="$name" '{ sub(/\r$/, "") } $2 == name || $2 == "*" name { print $1 }' "$temporary/SHA256SUMS")
  if [[ ! $expected =~ $SHA256 ]]; then
    complain "$1: $releases/SHA256SUMS has no SHA-256 of $name, so it was not downloaded; choose another release"
    return 1
  fi
  download "$1: " "$name" "$part" || return 1
  found=$(sha256_of "$part")
  if [ "$found" != "$expected" ]; then
    complain "$1: $releases/$name is damaged, and was deleted: its SHA-256 is $found, but SHA256SUMS says $expected." \
      "Try again; if that does not help, choose another release"
    return 1
  fi
  mv "$part" "$temporary/$name"
}

# --- The layer ---

# Leaves the zip for an architecture in $file, what to call it in $zip_name, and its unpacked size in $unpacked.
zip_architecture='' file='' zip_name='' unpacked=0
find_zip() { # function, architecture
  if [ -n "$release" ]; then
    download_zip "$1" "$2" || return 1
    zip_name="release $release"
  else
    file=${zip:-$ROOT/dist/secrets-cache-layer-$2.zip}
    zip_name=${file#"$ROOT/"}
    check_choice "$1" "$2" || return 1
  fi
  check_zip "$1"
}

check_choice() { # function, architecture
  if [ ! -f "$file" ] && [ -z "$zip" ]; then
    complain "$1: which zip? Download a release's with --release VERSION, such as --release 0.2.0, or choose one with" \
      "--zip FILE. In a clone, 'make layer ARCH=$2' builds the default, which is not there: $file"
    return 1
  elif [ ! -f "$file" ]; then
    complain "$1: --zip: there is no file '$file'"
    return 1
  elif [ -n "$zip" ] && [ "${zip_architecture:-$2}" != "$2" ]; then
    complain "$1: is for $2, but this --zip is already used for $zip_architecture; deploy each architecture on its own"
    return 1
  fi
  case $zip in
  *-x86_64.zip | *-arm64.zip)
    if [ "${zip%"-$2.zip"}" = "$zip" ]; then
      complain "$1: is for $2, and '$zip' is for the other architecture; choose the zip for $2"
      return 1
    fi
    ;;
  esac
  zip_architecture=$2
}

check_zip() { # function
  local names
  if ! names=$(unzip -l "$file" 2>/dev/null </dev/null) || ! has_entry "$names" extensions/secrets-cache; then
    complain "$1: '$zip_name' is not the zip of a secrets-cache layer; choose one from a release or from 'make layer'"
    return 1
  fi
  if [ "$exec_wrapper$wrapper_is" != none ] && [ "$exec_wrapper$wrapper_is" != other ] && ! has_entry "$names" "${WRAPPER#/opt/}"; then
    complain "$1: with AWS_LAMBDA_EXEC_WRAPPER=$WRAPPER the function could not start, because '$zip_name' has no" \
      "${WRAPPER#/opt/}; choose a layer that has it"
    return 1
  fi
  unpacked=$(printf '%s\n' "$names" | awk 'END { print $1 }')
}

has_entry() { # listing, name
  printf '%s\n' "$1" | awk -v name="$2" '$4 == name { found = 1 } END { exit !found }'
}

sha256_of() { # file
  local digest
  if command -v sha256sum >/dev/null; then digest=$(sha256sum <"$1"); else digest=$(shasum -a 256 <"$1"); fi
  say "${digest%% *}"
}

in_base64() { # a digest, which Lambda gives in base 64
  # shellcheck disable=SC2059 # the format is the bytes
  printf "$(printf '%s' "$1" | sed 's/../\\x&/g')" | base64
}

# Leaves in $layer the ARN of the published version that holds the zip; 'new' if the zip is not published.
layer='' layer_x86_64='' layer_arm64=''
find_layer() { # function, architecture
  local newest
  if [ "$2" = arm64 ]; then layer=$layer_arm64; else layer=$layer_x86_64; fi
  [ -z "$layer" ] || return 0
  # As JSON: as text, the CLI would answer once for each page of versions.
  if ! call lambda list-layer-versions --layer-name "$layer_name" --compatible-architecture "$2" --output json \
    --query "max_by(LayerVersions[?contains(CompatibleArchitectures || \`[]\`, '$2')], &Version).Version"; then
    explain "$1" lambda:ListLayerVersions
    return 1
  fi
  layer=new
  newest=$answer
  if [ "$newest" != null ]; then
    if ! call lambda get-layer-version --layer-name "$layer_name" --version-number "$newest" --output text \
      --query '[LayerVersionArn, Content.CodeSha256]'; then
      explain "$1" lambda:GetLayerVersion
      return 1
    fi
    if [ "${answer#*"$TAB"}" = "$(in_base64 "$(sha256_of "$file")")" ]; then layer=${answer%%"$TAB"*}; fi
  fi
  keep_layer "$2"
}

keep_layer() { # architecture
  if [ "$1" = arm64 ]; then layer_arm64=$layer; else layer_x86_64=$layer; fi
}

publish_layer() { # function, architecture
  if ! call lambda publish-layer-version --layer-name "$layer_name" --compatible-architectures "$2" \
    --description "Keeps secrets in memory and serves them on localhost" --license-info Apache-2.0 \
    --zip-file "fileb://$file" --output text --query LayerVersionArn; then
    explain "$1" lambda:PublishLayerVersion
    return 1
  fi
  layer=$answer
  keep_layer "$2"
  say "  published $layer"
}

# Leaves in $to_share those of $principals that may not use the layer version yet.
to_share=''
find_shares() { # function
  local principal policy=''
  to_share=''
  [ -n "$principals" ] || return 0
  if [ "$layer" != new ]; then
    if call lambda get-layer-version-policy --layer-name "$layer_name" --version-number "${layer##*:}" \
      --query Policy --output text; then
      policy=$answer
    elif [ "${failure#*ResourceNotFound}" = "$failure" ]; then
      explain "$1" lambda:GetLayerVersionPolicy
      return 1
    fi
  fi
  for principal in $principals; do
    case $policy in
    *"\"$(statement_of "$principal")\""*) ;;
    *) to_share="$to_share $principal" ;;
    esac
  done
}

statement_of() { # principal
  if [ "$1" = '*' ]; then say secrets-cache-public; else say "secrets-cache-account-$1"; fi
}

whom() { # principal
  if [ "$1" = '*' ]; then say everyone; else say "account $1"; fi
}

share_layer() { # function
  local principal
  for principal in $to_share; do
    if ! call lambda add-layer-version-permission --layer-name "$layer_name" --version-number "${layer##*:}" \
      --statement-id "$(statement_of "$principal")" --action lambda:GetLayerVersion --principal "$principal" \
      --output text --query RevisionId; then
      explain "$1" lambda:AddLayerVersionPermission
      return 1
    fi
  done
}

# --- The role ---

# Leaves in $program the command that makes the policy: the clone's, the one in PATH, or the release's. Another program
# could have its name.
program='' wheel=''
find_program() {
  local found advice="install it with 'pipx install FILE', FILE being the .whl of a release, or use --release"
  [ ! -f "$ROOT/secrets_cache/__init__.py" ] || advice="run 'make layer' or 'pipx install .' in your clone"
  for program in "$ROOT/.venv/bin/secrets-cache" "$(command -v secrets-cache)"; do
    ! makes_policies || return 0
  done
  found=${program:+", and '$program' is another program or does not run"}
  if [ -n "$release" ]; then
    wheel=lambda_secrets_cache-$release-py3-none-any.whl program=run_wheel
    advice="install Python 3.11 or newer as python3, or the command: pipx install $releases/$wheel"
    download_checked --grant "$wheel" || return 1
    ! makes_policies || return 0
  fi
  complain "--grant needs this project's command 'secrets-cache'${found:-, which is not in PATH}; $advice"
  return 1
}

makes_policies() {
  case $("$program" policy --help 2>/dev/null </dev/null || true) in *--partition*) ;; *) return 1 ;; esac
}

# Runs the command as it is in the wheel: nothing is installed. Python knows -P since 3.11, which this project needs.
run_wheel() {
  python3 -P -c 'import sys
sys.path.insert(0, sys.argv.pop(1))
address = sys.argv.pop(1)
try:
  from secrets_cache.cli import main
  sys.exit(main())
except ModuleNotFoundError as error:
  sys.exit(f"deploy.sh: this python3 has no module {error.name}; install the command: pipx install {address}")
' "$temporary/$wheel" "$releases/$wheel" "$@"
}

# Leaves in $grant what is to be done to the role's policy: put, delete, or nothing.
grant='' policy='' policy_name='' role=''
find_grant() { # function, its ARN
  local partition region account current=''
  grant=''
  [ -n "$config" ] || return 0
  policy_name="secrets-cache-${2##*:}"
  if [ -z "$remove" ]; then
    IFS=: read -r _ partition _ region account _ <<<"$2"
    if ! policy=$("$program" policy --config="$config" --region "$region" --account "$account" \
      --partition "$partition" </dev/null); then
      complain "$1: nothing was granted for $config; the reason is above"
      return 1
    fi
  fi
  if call iam get-role-policy --role-name "$role" --policy-name "$policy_name" --query PolicyDocument --output json; then
    current=$answer
  elif [ "${failure#*NoSuchEntity}" = "$failure" ]; then
    explain "$1" iam:GetRolePolicy
    return 1
  fi
  if [ -n "$remove" ]; then
    [ -z "$current" ] || grant=delete
  elif [ "$(without_blanks "$current")" != "$(without_blanks "$policy")" ]; then
    grant=put
  fi
}

# IAM keeps a document as it was put, save for its blanks; names and ARNs have none.
without_blanks() { printf '%s' "$1" | tr -d '[:space:]'; }

apply_grant() { # function
  if [ "$grant" = put ]; then
    call iam put-role-policy --role-name "$role" --policy-name "$policy_name" --policy-document "$policy" ||
      { explain "$1" iam:PutRolePolicy && return 1; }
  elif [ "$grant" = delete ]; then
    call iam delete-role-policy --role-name "$role" --policy-name "$policy_name" ||
      { explain "$1" iam:DeleteRolePolicy && return 1; }
  fi
}

# --- The function ---

# Leaves what the function is in the variables below. Of its environment: how many variables there are, and of each
# that this script sets whether it is as asked (same), otherwise (other), or not there (none).
arn='' version='' package='' state='' update='' architecture='' size=0 others_size=0 revision=''
layers='' timeout_is='' wrapper_is='' has_aws_port='' unreadable='' variables=0
look_at() { # function
  local all="Environment.Variables || \`{}\`" goes="contains(Arn, ':layer:$layer_name:')" one
  for one in $replace; do goes="$goes || contains(join(':', [Arn, '']), '$(part_of "$one")')"; done
  if ! call lambda get-function-configuration --function-name "$1" --output text --query "[FunctionArn, Version,
    PackageType || 'Zip', State || 'Active', LastUpdateStatus || 'Successful', Architectures[0] || 'x86_64', Role,
    CodeSize, sum((Layers || \`[]\`)[?!($goes)].CodeSize), RevisionId,
    join(' ', (Layers || \`[]\`)[].Arn) || '-', $(state_of CACHE_TIMEOUT "${cache_timeout:-0}"),
    $(state_of AWS_LAMBDA_EXEC_WRAPPER "$WRAPPER"), contains(keys($all), '$AWS_PORT'), Environment.Error.ErrorCode,
    length(keys($all))]"; then
    explain "$1" lambda:GetFunctionConfiguration
    return 1
  fi
  IFS=$TAB read -r arn version package state update architecture role size others_size revision layers timeout_is \
    wrapper_is has_aws_port unreadable variables <<<"$answer"
  [ "$layers" != - ] || layers=''
  role=${role##*/}
}

state_of() { # variable, value
  say "(Environment.Variables.$1 == '$2' && 'same') || (contains(keys(Environment.Variables || \`{}\`), '$1') &&
    'other') || 'none'"
}

check_function() { # function
  if [ "$package" = Image ]; then
    complain "$1: is a container image, and Lambda cannot add layers to images. Copy the layer's files to /opt in the" \
      "image instead, as example_function/Dockerfile does"
  elif [ "$version" != "\$LATEST" ]; then
    complain "$1: is the published version $version, which cannot be changed; give the function without a version"
  elif [ "$state" = Pending ] || [ "$update" = InProgress ]; then
    complain "$1: is being updated at the moment (State $state, LastUpdateStatus $update). Wait with:" \
      "aws lambda wait function-updated --function-name $1"
  else
    return 0
  fi
  return 1
}

# Refuses a layer that the function does not have: the name may be misspelt. If this layer is there, an earlier run took
# the other one off; $missing has it then.
missing=''
check_replace() { # function
  local one
  missing=''
  for one in $replace; do
    case "${layers// /: }:" in
    *"$(part_of "$one")"*) ;;
    *":layer:$layer_name:"*) missing="$missing $one" ;;
    *)
      complain "$1: --replace: it has no layer '$one'; its layers: ${layers:-none}"
      return 1
      ;;
    esac
  done
}

is_taken_off() { # ARN of a layer
  local one
  for one in "$layer_name" $replace; do
    case $1: in *"$(part_of "$one")"*) return 0 ;; esac
  done
  return 1
}

# Leaves the layers as they should be in $wanted, 'new' standing for the version that is to be published.
wanted='' kept=0 replaced=''
plan_layers() { # function
  local one
  wanted='' kept=0 replaced=''
  for one in $layers; do
    if is_taken_off "$one"; then
      [ -n "$remove" ] || [ -n "$replaced" ] || wanted="$wanted $layer"
      replaced="$replaced $one"
    else
      wanted="$wanted $one"
      kept=$((kept + 1))
    fi
  done
  [ -n "$remove" ] || [ -n "$replaced" ] || wanted="$wanted $layer"
  wanted=${wanted# }
}

check_limits() { # function
  local sum=$((size + others_size + unpacked))
  if [ "$kept" -ge "$MAX_LAYERS" ]; then
    complain "$1: has $kept other layers already, and Lambda allows $MAX_LAYERS in all; remove one, or merge two"
  elif [ "$sum" -gt "$MAX_UNPACKED" ]; then
    complain "$1: code and layers are more than 250 MB unpacked: this layer has $unpacked bytes, and the rest has" \
      "$((size + others_size)) even when zipped (Lambda does not tell more); allowed: $MAX_UNPACKED bytes"
  else
    return 0
  fi
  return 1
}

# Leaves in $set_timeout, $set_wrapper: add, change, remove or nothing.
set_timeout='' set_wrapper=''
plan_variables() { # function
  set_timeout='' set_wrapper=''
  if [ -n "$remove" ]; then
    [ -z "$cache_timeout" ] || [ "$timeout_is" != same ] || set_timeout=remove
    [ "$wrapper_is" != same ] || set_wrapper=remove
  else
    if [ -n "$cache_timeout" ]; then
      case $timeout_is in none) set_timeout=add ;; other) set_timeout=change ;; esac
    fi
    if [ -n "$exec_wrapper" ] && [ "$wrapper_is" = other ]; then
      complain "$1: AWS_LAMBDA_EXEC_WRAPPER names another wrapper already. Move its value to" \
        "SECRETS_CACHE_NEXT_WRAPPER: that wrapper then runs after $WRAPPER"
      return 1
    fi
    [ -z "$exec_wrapper" ] || [ "$wrapper_is" = same ] || set_wrapper=add
  fi
  if [ "$unreadable" != None ] && { [ -n "$set_timeout$set_wrapper" ] || [ -n "$remove" ]; }; then
    complain "$1: its environment variables cannot be read ($unreadable), and would be lost; use credentials" \
      "that have kms:Decrypt on the key that encrypts them"
    return 1
  fi
}

tell_plan() { # function
  local one principal
  say "$1 ($architecture, $(echo "$arn" | cut -d: -f4))"
  for one in $layers; do
    case " $replaced " in
    *" $one "*) if [ "$one" = "$layer" ]; then say "  keep layer $one"; else tell_removal "$one"; fi ;;
    *)
      say "  keep layer $one"
      [ -n "$remove" ] || warn_of_aws "$one"
      ;;
    esac
  done
  for one in $missing; do say "  no layer $one to remove"; done
  if [ -z "$remove" ]; then
    case " $layers " in
    *" $layer "*) ;;
    *) say "  add layer $(if [ "$layer" = new ]; then echo "$layer_name, a new version from $zip_name"; else echo "$layer"; fi)" ;;
    esac
  fi
  for principal in $to_share; do say "  let $(whom "$principal") use the layer version"; done
  [ "$grant" != put ] || say "  let role $role read what $config lists, by the inline policy $policy_name"
  [ "$grant" != delete ] || say "  delete the inline policy $policy_name of role $role"
  [ -z "$set_timeout" ] || tell_variable "$set_timeout" CACHE_TIMEOUT "$cache_timeout"
  [ -z "$set_wrapper" ] || tell_variable "$set_wrapper" AWS_LAMBDA_EXEC_WRAPPER "$WRAPPER"
  if [ -n "$remove" ] && [ -n "$cache_timeout" ] && [ "$timeout_is" = other ]; then
    say "  keep variable CACHE_TIMEOUT, because its value is not $cache_timeout"
  fi
  say "  keep all other variables ($(other_variables))"
  [ -z "$remove" ] || say "  keep the published versions of the layer, which other functions may use"
}

tell_removal() { # ARN of a layer
  say "  remove layer $1"
  case $1 in
  *":$AWS_LAYER:"* | *":$AWS_LAYER-Arm64:"*)
    [ "$has_aws_port" = True ] ||
      say "  warning: nothing answers on AWS's layer's port until variable $AWS_PORT is set, or server.aws_port"
    ;;
  esac
}

# AWS's own layer is easily left behind, and then goes on answering the function.
warn_of_aws() { # ARN of a layer that stays
  local name=${1%:*}
  name=${name##*:}
  case $name in
  "$AWS_LAYER" | "$AWS_LAYER-Arm64")
    say "  warning: AWS's layer goes on answering on its port, 2773 by default; --replace $name takes it off"
    ;;
  esac
}

tell_variable() { # add, change or remove; name, value
  case $1 in
  add) say "  set variable $2 to $3" ;;
  change) say "  change variable $2 to $3" ;;
  remove) say "  remove variable $2" ;;
  esac
}

other_variables() {
  local changed=0
  case $set_timeout in change | remove) changed=1 ;; esac
  case $set_wrapper in change | remove) changed=$((changed + 1)) ;; esac
  if [ "$unreadable" = None ]; then echo $((variables - changed)); else echo "unreadable, not sent"; fi
}

# One request with what differs. All variables are sent if one is to change, because Lambda replaces them all; the CLI
# itself makes the JSON, from what the function has, and reads it from the pipe.
update_function() { # function
  local set='' unset='' query
  case $set_timeout in
  add | change) set="CACHE_TIMEOUT: '$cache_timeout'" ;;
  remove) unset=CACHE_TIMEOUT ;;
  esac
  case $set_wrapper in
  add) set="${set:+$set, }AWS_LAMBDA_EXEC_WRAPPER: '$WRAPPER'" ;;
  remove) unset="${unset:+$unset }AWS_LAMBDA_EXEC_WRAPPER" ;;
  esac
  if [ -n "$set" ]; then
    query="{Variables: merge(Environment.Variables || \`{}\`, {$set})}"
  else
    query="{Variables: Environment.Variables}"
  fi
  set -- "$1" lambda update-function-configuration --function-name "$1" --query FunctionArn --output text
  [ "$revision" = None ] || set -- "$@" --revision-id "$revision"
  # shellcheck disable=SC2086 # one argument for each layer; [] takes the last one away
  [ "$wanted" = "$layers" ] || set -- "$@" --layers ${wanted:-"[]"}
  if [ -z "$set$unset" ]; then
    call "${@:2}" && return 0
  else
    failure=$({
      aws lambda get-function-configuration --function-name "$1" --query "$query" --output json </dev/null |
        without_variables "$unset" |
        aws "${@:2}" --environment file:///dev/stdin
    } 2>&1 >/dev/null | tr -s '\n' ' ') && return 0
  fi
  explain "$1" lambda:UpdateFunctionConfiguration
  return 1
}

# Leaves out variables. The CLI's JSON has one variable a line, in a place where nothing else can begin like it, because
# a line end inside a value is written as \n. Prints nothing at all unless each variable was found once.
without_variables() { # names
  LC_ALL=C awk -v names="$1" '
    BEGIN { expected = split(names, name, " ") }
    {
      for (i = 1; i <= expected; i++) if (index($0, "        \"" name[i] "\": \"") == 1) {
        if ($0 !~ /,$/) sub(/,$/, "", line[count])
        found++
        next
      }
      line[++count] = $0
    }
    END { if (found + 0 == expected) for (i = 1; i <= count; i++) print line[i] }'
}

wait_for() { # function
  local reason
  if ! call lambda wait function-updated --function-name "$1"; then
    failure=${failure%%\{*}
    complain "$1: the AWS CLI could not wait for the end of the update. AWS says: ${failure# }"
  fi
  if ! call lambda get-function-configuration --function-name "$1" --output text \
    --query "[State || 'Active', LastUpdateStatus || 'Successful', LastUpdateStatusReason || '-']"; then
    explain "$1" lambda:GetFunctionConfiguration
    return 1
  fi
  IFS=$TAB read -r state update reason <<<"$answer"
  if [ "$update" != Successful ]; then
    complain "$1: Lambda could not finish the update: State $state, LastUpdateStatus $update, $reason"
    return 1
  fi
}

deploy() { # function
  look_at "$1" && check_function "$1" && check_replace "$1" || return 1
  layer='' unpacked=0 to_share=''
  if [ -z "$remove" ]; then
    find_zip "$1" "$architecture" && find_layer "$1" "$architecture" && find_shares "$1" || return 1
  fi
  plan_layers "$1"
  [ -n "$remove" ] || check_limits "$1" || return 1
  plan_variables "$1" && find_grant "$1" "$arn" || return 1
  tell_plan "$1"
  if [ "$wanted" = "$layers" ] && [ -z "$set_timeout$set_wrapper$grant$to_share" ]; then
    if [ -n "$remove" ]; then say "  already removed: nothing was changed"; else say "  already up to date: nothing was changed"; fi
    return 0
  elif [ -n "$dry_run" ]; then
    if [ "$grant" = put ]; then say "$policy"; fi
    say "  this was a dry run: nothing was changed"
    return 0
  fi
  if [ "$layer" = new ]; then
    publish_layer "$1" "$architecture" || return 1
    plan_layers "$1"
  fi
  share_layer "$1" && apply_grant "$1" || return 1
  if [ "$wanted" != "$layers" ] || [ -n "$set_timeout$set_wrapper" ]; then
    update_function "$1" && wait_for "$1" || return 1
  fi
  say "  done: State $state, LastUpdateStatus $update"
}

if [ -n "$release" ]; then
  find_releases && download '' SHA256SUMS "$temporary/SHA256SUMS" || exit 1
fi
if [ -n "$config" ] && [ -z "$remove" ]; then find_program || exit 1; fi
total=0 failed=0
for function in $functions; do
  total=$((total + 1))
  deploy "$function" || failed=$((failed + 1))
done
# Where there is one function, the line above has said it.
if [ "$failed" -gt 0 ] && [ "$total" -gt 1 ]; then
  if [ "$failed" -eq 1 ]; then reasons="the reason is above"; else reasons="the reasons are above"; fi
  complain "$failed of $total functions failed; $reasons"
fi
[ "$failed" -eq 0 ]
