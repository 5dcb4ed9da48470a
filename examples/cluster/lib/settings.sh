# Where the cluster lives and how it is laid out. A running cluster remembers its layout in $DIR/settings, so that
# FLEET_CLUSTER_DIR alone names it.

MOST=100

settings() {
  DIR=$(realpath -m -- "${FLEET_CLUSTER_DIR:-/var/lib/fleet-cluster}")
  ID=$(printf %s "$DIR" | md5sum | cut -c1-8)
  CONF=$DIR/fleet.conf
  KEY=$DIR/id_ed25519
  SUBNET=${FLEET_CLUSTER_SUBNET:-127.77.0}
  PORT=${FLEET_CLUSTER_PORT:-}
  PREFIX=${FLEET_CLUSTER_PREFIX:-m}
  DISK=256M
  LOGIN=root
  CONTAINERS=no
  [ ! -e "$DIR/settings" ] || remembered_settings
  check_settings
}

is_cluster() { [ -e "$DIR/settings" ]; }

# A folder that may be taken for a cluster, or removed with one: ours, or empty but for what a killed `up` left in its first moment.
is_ours() { is_cluster || [ -z "$(ls -A -I settings.new "$DIR")" ]; }

require_cluster() { is_cluster || fail "there is no cluster in $DIR; start one with: cluster up"; }

remembered_settings() {
  local key value
  while IFS='=' read -r key value; do
    case $key in
      subnet) same_as_before SUBNET "${FLEET_CLUSTER_SUBNET:-}" "$value" ;;
      port) same_as_before PORT "${FLEET_CLUSTER_PORT:-}" "$value" ;;
      prefix) same_as_before PREFIX "${FLEET_CLUSTER_PREFIX:-}" "$value" ;;
      disk) DISK=$value ;;
      login) LOGIN=$value ;;
      containers) CONTAINERS=$value ;;
    esac
  done <"$DIR/settings"
}

same_as_before() { # NAME wanted remembered
  [ -z "$2" ] || [ "$2" = "$3" ] || fail "FLEET_CLUSTER_$1 is \"$2\", but the cluster in $DIR was started with \"$3\""
  printf -v "$1" %s "$3"
}

# 127.x.y only: nothing a cluster does may leave the box.
check_settings() {
  local octet='(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])'
  [[ $SUBNET =~ ^127\.$octet\.$octet$ ]] || usage_error "FLEET_CLUSTER_SUBNET must look like 127.77.0: $SUBNET"
  [[ $PREFIX =~ ^[a-z][a-z0-9-]{0,20}$ ]] || usage_error "FLEET_CLUSTER_PREFIX must be letters, digits and dashes: $PREFIX"
  [[ $PORT =~ ^[0-9]{0,5}$ ]] || usage_error "FLEET_CLUSTER_PORT must be a number: $PORT"
  [[ $DISK =~ ^[1-9][0-9]*[MG]$ ]] || usage_error "--disk must look like 64M or 2G: $DISK"
  [[ $LOGIN =~ ^(root|core|plain)$ ]] || usage_error "--user must be root, core or plain: $LOGIN"
}

save_settings() {
  write_file "$DIR/settings" <<EOT
subnet=$SUBNET
port=$PORT
prefix=$PREFIX
disk=$DISK
login=$LOGIN
containers=$CONTAINERS
EOT
}

# Whole or not at all: a script that was killed leaves no half file behind.
write_file() {
  cat >"$1.new"
  mv -f "$1.new" "$1"
}

conf_path() {
  require_cluster
  printf '%s\n' "$CONF"
}

# The machines that exist, running or not, in order.
machine_names() {
  local n
  for ((n = 1; n <= MOST; n++)); do
    [ ! -e "$DIR/machines/$PREFIX$n/disk/etc/machine-id" ] || printf '%s\n' "$PREFIX$n"
  done
}

number_of() { printf %s "${1#"$PREFIX"}"; }

address_of() { printf %s "$SUBNET.${1#"$PREFIX"}"; }

# Same name, same id, in every cluster and after every `down`: people can tell their machines apart by sight.
machine_id_of() { printf 'fleet cluster machine %s' "$1" | md5sum | cut -c1-32; }
