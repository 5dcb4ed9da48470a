# Settings of the cluster. They are stored in $DIR/settings, so that later commands need only FLEET_CLUSTER_DIR.

MOST=100

settings() {
  DIR=$(realpath -m -- "${FLEET_CLUSTER_DIR:-/var/lib/fleet-cluster}")
  ID=$(printf %s "$DIR" | md5sum)
  ID=${ID:0:8}
  CONF=$DIR/fleet.conf
  KEY=$DIR/id_ed25519
  SUBNET=${FLEET_CLUSTER_SUBNET:-127.77.0}
  PORT=${FLEET_CLUSTER_PORT:-}
  PREFIX=${FLEET_CLUSTER_PREFIX:-m}
  DISK=256M
  LOGIN=root
  CONTAINERS=no
  [ ! -e "$DIR/settings" ] || read_settings
  check_settings
}

is_cluster() { [ -e "$DIR/settings" ]; }

# Whether a folder may be used for a cluster and removed with it: it is a cluster's, or empty except for a file of a killed `up`.
is_ours() { is_cluster || [ -z "$(ls -A -I settings.new "$DIR")" ]; }

require_cluster() { is_cluster || fail "there is no cluster in $DIR; start one with: cluster up"; }

read_settings() {
  local key value
  while IFS='=' read -r key value; do
    case $key in
      subnet) require_same SUBNET "${FLEET_CLUSTER_SUBNET:-}" "$value" ;;
      port) require_same PORT "${FLEET_CLUSTER_PORT:-}" "$value" ;;
      prefix) require_same PREFIX "${FLEET_CLUSTER_PREFIX:-}" "$value" ;;
      disk) DISK=$value ;;
      login) LOGIN=$value ;;
      containers) CONTAINERS=$value ;;
    esac
  done <"$DIR/settings"
}

require_same() { # NAME wanted stored
  [ -z "$2" ] || [ "$2" = "$3" ] || fail "FLEET_CLUSTER_$1 is \"$2\", but the cluster in $DIR was started with \"$3\""
  printf -v "$1" %s "$3"
}

# Only 127.x.y, so that no packet leaves the box.
check_settings() {
  local octet='(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])'
  [[ $SUBNET =~ ^127\.$octet\.$octet$ ]] || usage_error "FLEET_CLUSTER_SUBNET must have the form 127.77.0: $SUBNET"
  [[ $PREFIX =~ ^[a-z][a-z0-9-]{0,20}$ ]] || usage_error "FLEET_CLUSTER_PREFIX must be letters, digits and dashes: $PREFIX"
  [[ $PORT =~ ^[0-9]{0,5}$ ]] || usage_error "FLEET_CLUSTER_PORT must be a number: $PORT"
  [[ $DISK =~ ^[1-9][0-9]*[MG]$ ]] || usage_error "--disk must have the form 64M or 2G: $DISK"
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

# Writes atomically, so that a killed script leaves no partial file.
write_file() {
  cat >"$1.new"
  mv -f "$1.new" "$1"
}

conf_path() {
  require_cluster
  printf '%s\n' "$CONF"
}

# All machines, running or not, in order.
machine_names() {
  local n
  for ((n = 1; n <= MOST; n++)); do
    [ ! -e "$DIR/machines/$PREFIX$n/disk/etc/machine-id" ] || printf '%s\n' "$PREFIX$n"
  done
}

number_of() { printf %s "${1#"$PREFIX"}"; }

address_of() { printf %s "$SUBNET.${1#"$PREFIX"}"; }

# The id depends on the name only, so that people can recognize machines by id.
machine_id_of() { printf 'fleet cluster machine %s' "$1" | md5sum | cut -c1-32; }
