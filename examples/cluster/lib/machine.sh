# Operations on one machine.

# Runs VERB_machine for each of the machines.
each_machine() {
  local verb=$1 name
  shift
  require_cluster
  [ $# -gt 0 ] || usage_error "no machine is given: cluster $verb M"
  for name in "$@"; do require_machine "$name"; done
  take_lock
  for name in "$@"; do "${verb}_machine" "$name"; done
}

require_machine() {
  [ -e "$DIR/machines/$1/disk/etc/machine-id" ] || fail "unknown machine \"$1\"; the machines are: $(machine_names | paste -s -d " ")"
}

is_running() { is_populated "$(cgroup_of "$1")"; }

is_hung() { is_running "$1" && is_frozen "$(cgroup_of "$1")"; }

# Starts systemd in a machine, and returns before it has booted.
boot_machine() {
  local name=$1 home=$DIR/machines/$1 cgroup id
  cgroup=$(cgroup_of "$name")
  id=$(<"$home/disk/etc/machine-id")
  require_free_address "$(address_of "$name")"
  remove_cgroup "$cgroup"
  forget_nspawn "$name"
  (
    join_cgroup "$cgroup"
    # The container has cgroup v2 only, also if the box has v1.
    export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
    exec setsid --fork systemd-nspawn --quiet --settings=no --directory="$home/disk" --boot \
      --bind-ro=/usr --bind-ro="${DIR//:/\\:}/units:/usr/lib/systemd/system" \
      --machine="$(nspawn_name "$name")" --hostname="$name" --uuid="$id" \
      --register=no --keep-unit --console=pipe --link-journal=no --resolv-conf=off --timezone=off
  ) </dev/null >>"$home/console.log" 2>&1 9>&-
}

nspawn_name() { printf %s "fleet-cluster-$ID-$1"; }

# Removes files that a killed nspawn leaves in /run.
forget_nspawn() {
  local folder
  for folder in /run/systemd/nspawn/{unix-export,propagate}/"$(nspawn_name "$1")"; do
    [ -d "$folder" ] || continue
    ! mountpoint -q "$folder" || umount --lazy "$folder"
    rm -rf --one-file-system "$folder"
  done
  rm -f "/run/systemd/nspawn/locks/$(stat --format 'inode-%d:%i' "$DIR/machines/$1/disk")"
}

wait_for_machine() {
  local name=$1
  if is_up "$name"; then
    say "$name is up at $(endpoint_of "$name")$(! is_cut "$name" || printf ', but cut off')"
  else
    tail -n 10 "$DIR/machines/$name/console.log" >&2
    fail "$name did not come up; see above for the last lines of $DIR/machines/$name/console.log"
  fi
}

# A machine is up when systemd has booted and its SSH server sends a banner. Waits up to 30 s for each.
is_up() {
  until_true 600 started_or_died "$1" && is_running "$1" || return
  is_cut "$1" || until_true 600 has_banner_or_died "$1"
  is_running "$1"
}

has_banner_or_died() { has_banner "$(address_of "$1")" || ! is_running "$1"; }

# Whether an SSH server at this address sends a banner.
has_banner() {
  local banner=''
  { exec 3<>"/dev/tcp/$1/$PORT"; } 2>/dev/null || return 1
  read -r -t 2 -u 3 banner || true
  exec 3>&-
  [[ $banner == SSH-2.0-* ]]
}

# is-system-running --wait returns after the boot. Units that fail or take longer than 10 s are ignored, because users can
# install such units.
started_or_died() {
  local leader state status=0
  is_running "$1" || return 0
  leader=$(leader_of "$1" 2>/dev/null) && [ -S "/proc/$leader/root/run/systemd/private" ] || return 1
  state=$(timeout 10 nsenter --target "$leader" --mount --pid -- systemctl is-system-running --wait 2>/dev/null 9>&-) || status=$?
  [[ $state == running || $state == degraded || $status == 124 ]]
}

# The pid of the machine's systemd in the namespace of the box.
leader_of() {
  local pid=''
  { read -r pid <"$(cgroup_of "$1")/payload/init.scope/cgroup.procs"; } 2>/dev/null || true
  [ -n "$pid" ] || fail "$1 has no running systemd"
  printf %s "$pid"
}

start_machine() {
  if is_hung "$1"; then fail "$1 is hung: run \"cluster resume $1\""; fi
  if is_running "$1"; then say "$1 is already running" && return; fi
  unit_folder
  boot_machine "$1"
  wait_for_machine "$1"
}

reboot_machine() {
  shut_down_machine "$1"
  start_machine "$1"
}

# Shuts down like the power button: systemd stops everything in order. A hung machine is switched off.
shut_down_machine() {
  local cgroup pid
  cgroup=$(cgroup_of "$1")
  if is_running "$1" && ! is_hung "$1" && read -r pid <"$cgroup/supervisor/cgroup.procs"; then
    kill -TERM "$pid" 2>/dev/null || true
    until_true 400 is_empty_cgroup "$cgroup" || say "$1 did not shut down in 20 s; switching it off"
  fi
  power_off "$1"
}

power_off() {
  local cgroup
  cgroup=$(cgroup_of "$1")
  kill_cgroup "$cgroup"
  thaw_cgroup "$cgroup"
}

kill_machine() {
  power_off "$1"
  say "$1 is stopped"
}

hang_machine() {
  is_running "$1" || fail "$1 is not running"
  freeze_cgroup "$(cgroup_of "$1")"
  say "$1 is hung"
}

resume_machine() {
  thaw_cgroup "$(cgroup_of "$1")"
  say "$1 is running again"
}

# Runs a command without SSH, so that it also works on a machine that is cut off. The process is in the cgroup of the
# machine and ends with it.
exec_inside() {
  local name=${1:-} leader
  require_cluster
  [ -n "$name" ] || usage_error "no machine is given: cluster exec M COMMAND"
  shift
  require_machine "$name"
  [ $# -gt 0 ] || set -- /bin/bash -l
  is_running "$name" || fail "$name is not running"
  ! is_hung "$name" || fail "$name is hung: run \"cluster resume $name\""
  leader=$(leader_of "$name")
  join_cgroup "$(cgroup_of "$name")/payload/exec"
  exec nsenter --target "$leader" --mount --uts --ipc --pid --cgroup --root --wd -- \
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" "$@"
}

status() {
  local name cut
  require_cluster
  cut=$(cut_addresses)
  {
    echo 'MACHINE ADDRESS STATE MACHINE-ID'
    for name in $(machine_names); do
      printf '%s %s %s %s\n' "$name" "$(endpoint_of "$name")" "$(state_of "$name" "$cut")" "$(machine_id_of "$name")"
    done
  } | column_table
}

# The address, with the port unless it is 22.
endpoint_of() {
  address_of "$1"
  [ "$PORT" = 22 ] || printf ':%s' "$PORT"
}

state_of() { # name, cut addresses
  local state=running
  is_running "$1" || state=stopped
  ! is_hung "$1" || state=hung
  if [[ " $2 " == *" $(address_of "$1") "* ]]; then
    case $state in running) state='cut' ;; *) state=$state,cut ;; esac
  fi
  printf %s "$state"
}

column_table() {
  awk '{ for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } last = NF }
    END { for (r = 1; r <= NR; r++) { for (i = 1; i < last; i++) printf "%-" (width[i] + 2) "s", cell[r, i]; print cell[r, last] } }'
}
