# Starting and growing the cluster, and what fleetctl needs to know about it.

up() {
  local wanted='' name running=() missing=()
  read_up_options "$@"
  make_cluster_folder
  take_lock
  # Once more, now that nobody else is at work.
  settings
  read_up_options "$@"
  choose_port
  save_settings
  make_key "$KEY" fleet-cluster
  [ -n "$(machine_names)" ] || rm -rf "$DIR/golden"
  golden_root
  [ "$CONTAINERS" = no ] || start_registry
  for name in $(names_to_start "$wanted"); do
    if is_hung "$name"; then say "$name hangs; cluster resume $name"
    elif is_running "$name"; then running+=("$name")
    else missing+=("$name"); fi
  done
  boot_machines "${missing[@]}"
  write_known_hosts
  write_conf
  for name in "${running[@]}"; do make_sure_of "$name"; done
  for name in "${missing[@]}"; do wait_for_machine "$name"; done
  say "try it: fleetctl --config $CONF list-machines"
}

# Sets LOGIN and DISK, and `wanted` of its caller.
read_up_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --user | --disk)
        [ $# -gt 1 ] || usage_error "$1 needs a value"
        if [ "$1" = --user ]; then LOGIN=$2; else DISK=$2; fi
        shift
        ;;
      -*) usage_error "\"up\" has no option $1" ;;
      *)
        [[ $1 =~ ^[1-9][0-9]{0,2}$ && $1 -le $MOST ]] || usage_error "\"up\" takes a number from 1 to $MOST: $1"
        wanted=$1
        ;;
    esac
    shift
  done
  check_settings
}

make_cluster_folder() {
  [ ! -d "$DIR" ] || is_ours || fail "$DIR exists and is not a cluster; choose another FLEET_CLUSTER_DIR"
  mkdir -p "$DIR"
}

# m1 to mN; without N, every machine there is, and at least three.
names_to_start() {
  local n highest
  highest=$(machine_names | tail -n 1)
  highest=${1:-${highest:+$(number_of "$highest")}}
  [ -n "$1" ] || [ "${highest:-0}" -ge 3 ] || highest=3
  for ((n = 1; n <= highest; n++)); do printf '%s\n' "$PREFIX$n"; done
}

# Disks are made two at a time per processor; the machines then boot all together.
boot_machines() {
  local name pid pids=() most
  [ $# -gt 0 ] || return 0
  raise_inotify "$(($(machine_names | wc -l) + $#))"
  most=$(($(nproc) * 2))
  for name in "$@"; do
    [ "${#pids[@]}" -lt "$most" ] || { wait "${pids[0]}" || fail "$name was not started"; pids=("${pids[@]:1}"); }
    { make_disk "$name"; boot_machine "$name"; } 9>&- &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || fail "not every machine was started"; done
}

# A machine that had processes a moment ago: it may still be booting, or dying, when another script was killed at its work.
make_sure_of() {
  if is_up "$1"; then
    say "$1 already runs"
  else
    is_running "$1" || boot_machine "$1"
    wait_for_machine "$1"
  fi
}

# A systemd takes about ten inotify instances, and the usual limit is 128 for everything root runs on the box.
raise_inotify() {
  local limit=/proc/sys/fs/inotify/max_user_instances
  [ "$1" -gt 8 ] && [ "$(<$limit)" -lt 1024 ] || return 0
  say "raising fs.inotify.max_user_instances from $(<$limit) to 1024"
  echo 1024 >$limit
}

write_known_hosts() {
  local name host
  for name in $(machine_names); do
    host=$(address_of "$name")
    [ "$PORT" = 22 ] || host="[$host]:$PORT"
    printf '%s %s\n' "$host" "$(cut -d ' ' -f 1,2 "$DIR/machines/$name/ssh_host_ed25519_key.pub")"
  done | write_file "$DIR/known_hosts"
}

write_conf() {
  local name
  {
    printf '; Written by "cluster up"; a change here is lost at the next one.\n'
    printf 'registry = file:registry\nagent_ttl = 30s\n\n[ssh]\nuser = %s\n' "$LOGIN"
    [ "$LOGIN" = root ] || printf 'sudo = true\n'
    printf 'identity_file = %s\nknown_hosts_file = known_hosts\n' "$KEY"
    for name in $(machine_names); do
      printf '\n[machine.%s]\naddress = %s\nmetadata = %s\n' "$name" "$(endpoint_of "$name")" "$(metadata_of "$name")"
    done
  } | write_file "$CONF"
  give_to_caller "$DIR" "$CONF" "$KEY" "$KEY.pub" "$DIR/known_hosts"
}

# Four machines have all four combinations.
metadata_of() {
  local n role=(db web) region=(a a b b)
  n=$(number_of "$1")
  printf 'role=%s,region=%s' "${role[n % 2]}" "${region[(n - 1) % 4]}"
}

# So that who ran this with sudo can run fleetctl without it.
give_to_caller() { [ -z "${SUDO_UID:-}" ] || chown "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$@"; }
