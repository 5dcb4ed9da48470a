# The words every script to a machine is made of: POSIX sh, and of its tools only what coreutils, util-linux
# and systemd bring. Set before it: M marker of the frames · D folder of unit files · L fleet's own folder ·
# R folder of the lock · P properties to show · F folders of other unit files; for change.sh also W seconds to wait
# for the lock. S may be set to the seconds that systemctl may take

export LC_ALL=C SYSTEMD_COLORS=0 SYSTEMD_LOG_COLOR=0 SYSTEMD_PAGER= SYSTEMD_URLIFY=0 PATH="$PATH:/usr/sbin:/sbin"
# Writing to a connection that is gone must not end a half-done script.
trap '' PIPE

# frame NAME STATUS BYTES TEXT: one section of the answer; on stderr, the end of what belongs to it
frame() {
  printf '\n%s\n' "$M" >&2
  printf '%s %s %s %s\n%s' "$M" "$1" "$2" "$3" "$4"
}
# section NAME COMMAND...: runs it apart and frames what it prints, which is also kept in $out.
# Commands read from /dev/null: standard input holds the script itself.
section() {
  name=$1
  shift
  out=$("$@" </dev/null)
  status=$?
  frame "$name" "$status" "${#out}" "$out"
  return "$status"
}
# step NAME COMMAND...: runs it here, where it may set variables; what it prints counts as its stderr
step() {
  name=$1
  shift
  "$@" </dev/null >&2
  status=$?
  frame "$name" "$status" 0 ''
  return "$status"
}

# leave: nothing of this script waits for the lock any more
leave() { exec 8>&- 9>&-; }

# absent TOOL...: those that are not there
absent() { for tool; do command -v "$tool" >/dev/null || printf '%s\n' "$tool"; done; }

# within SECONDS TOOL...: no tool that hangs is waited for without an end, nor left behind
within() {
  timeout -k 1 "$@" && return
  set -- $? "$@"
  case $1 in 124 | 137) echo "$3 timed out after $2 s" >&2 ;; esac
  return $1
}
systemctl() { within "${S:-31}" systemctl "$@"; }
journalctl() { within 20 journalctl "$@"; }

# --- reading

# clock: hundredths of a second since the machine booted, in $now
clock() { read -r now rest </proc/uptime && now=$((${now%.*} * 100 + 1${now#*.} - 100)); }
# facts CLOCK: what the machine is; unless empty, CLOCK asks for the time of day, which costs a process
facts() {
  # A file without a newline at its end still holds a line.
  { read -r id || [ "$id" ]; } </etc/machine-id && echo "machine-id $id"
  read -r boot </proc/sys/kernel/random/boot_id && echo "boot-id $boot"
  read -r uptime rest </proc/uptime && echo "uptime $uptime"
  [ ! -s "$L/cluster" ] || { read -r owner <"$L/cluster" && echo "cluster $owner"; }
  read_lease
  [ "$deadline" = 0 ] || ! systemctl is-active --quiet fleet-lease.service || echo "lease $deadline"
  [ -z "$1" ] || echo "clock $(date +%s)"
}
# read_lease: sets $deadline to that of the lease of the machine, 0 when it has none; $boot is its boot id
read_lease() {
  deadline=0
  [ -s "$R/lease" ] || return 0
  read -r leased_boot deadline <"$R/lease" && [ "$leased_boot" = "$boot" ] || deadline=0
  case "$deadline" in '' | *[!0-9]*) deadline=0 ;; esac
}
# version_of PROGRAM: sets $version to the number that the programs of systemd all have
version_of() { version=$("$1" --version) && version=${version#systemd } && version=${version%%[!0-9]*}; }
# vitals: how busy the machine is, and its systemd; only for those who ask, for that costs a process
vitals() {
  read -r one five fifteen rest </proc/loadavg && echo "load $one $five $fifteen"
  # MemTotal, MemFree and, since Linux 3.14, MemAvailable are the first lines, in KiB.
  { read -r key total rest && read -r key rest && read -r key available rest; } </proc/meminfo &&
    [ "$key" = MemAvailable: ] && echo "memory $total $available"
  version_of systemctl && echo "systemd $version"
}
# each COMMAND FILE...: runs it on those files that are there. It fails when one cannot be read and stays there; one that
# another fleet process takes away meanwhile is no failure
each() {
  command=$1
  shift
  while :; do
    for file; do shift; [ ! -e "$file" ] || set -- "$@" "$file"; done
    [ $# -gt 0 ] || return 0
    "$command" -- "$@" && return
    for file; do [ -e "$file" ] || continue 2; done
    return 1
  done
}
# records UNIT...: without any, fails unless the folder of records can be read
records() {
  [ $# -gt 0 ] || { [ ! -e "$L/units" ] || ls -A -- "$L/units" >/dev/null; return; }
  cd "$L/units" && each cat "$@"
}
# recorded UNIT...: those whose records are still there, which tells a damaged record from one that was taken away
recorded() {
  for unit; do shift; [ ! -e "$L/units/$unit" ] || set -- "$@" "$unit"; done
  printf '%s ' "$@"
}
# added UNIT...: the records that have come since those in $known were read, or what another fleet process has just put
# there would count as somebody else's
added() {
  cd "$L/units" 2>/dev/null || return 0
  for unit; do
    shift
    case "$known" in *" $unit "*) continue ;; esac
    [ ! -f "./$unit" ] || set -- "$@" "$unit"
  done
  [ $# -eq 0 ] || section added each cat "$@"
}
is_there() { [ -e "$1" ] || [ -L "$1" ]; }
# is_template UNIT: its suffix follows its first @
is_template() { case "${1#*@}" in "$1" | .*.* | [!.]*) return 1 ;; esac; }
# find_units UNIT...: those of them in $there, and in a section, that systemd may tell something of, and that are not in
# $known. With many names, most are of other machines, and systemd would look everywhere for each of them.
find_units() {
  found= folders=
  for folder in "$D" $F; do [ ! -d "$folder" ] || folders="$folders $folder"; done
  for unit; do
    case "$known" in *" $unit "*) continue ;; esac
    ! has_traces "$unit" || found="$found $unit"
  done
  frame found 0 "${#found}" "$found"
}
# has_traces UNIT: there is a file of it, or of its template, or a run that it is in; systemd before 233 keeps no
# links to runs
has_traces() {
  [ ! -L "/run/systemd/units/invocation:$1" ] && [ -d /run/systemd/units ] || return 0
  template=
  case "$1" in *@*) template=${1%%@*}@.${1##*.} ;; esac
  for folder in $folders; do
    for file in "$1" $template; do ! is_there "$folder/$file" || return 0; done
  done
  return 1
}
# digests UNIT...: of unit files, and of the drop-ins that fence units
digests() {
  cd "$D" || return
  set -- "$@" *.d/zz-fleet-fenced.conf
  # The name may be that of a folder, or of a pipe without an end.
  for file; do shift; [ ! -f "$file" ] || set -- "$@" "$file"; done
  each sha256sum "$@"
}
# What starts the launched units at boot. It is not ordered after them, as targets are by default: it starts with
# multi-user.target, and a unit that is After= that one would be before it as well.
boot_text='[Unit]
Description=Units started by fleet
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target'
# boots: fleet.target is there with that text
boots() { [ -f fleet.target ] && [ "$(cat fleet.target 2>/dev/null)" = "$boot_text" ]; }
# links: what makes other units pull a unit in. Without the right fleet.target, nothing starts one at boot.
links() {
  cd "$D" || return
  useless='fleet.target.wants/*'
  ! boots || [ ! -L multi-user.target.wants/fleet.target ] || useless=
  for link in *.wants/* *.requires/* *.upholds/*; do
    case "$link" in $useless) continue ;; esac
    [ ! -L "./$link" ] || printf '%s\n' "$link"
  done
}
# show UNIT...: a block of properties for each, in this order, or the reason why systemd cannot show it. systemctl ends at
# the first unit that it cannot show, and when systemd goes away to execute itself again. 1: systemd does not answer
show() {
  for unit; do
    shift
    is_template "$unit" || { set -- "$@" "$unit"; continue; }
    find_template "$unit"
    printf 'Id=%s\nLoadState=%s\nActiveState=inactive\nSubState=dead\nFragmentPath=%s\n\n' "$unit" "$load" "$file"
  done
  clock
  asked=$# refused=0 limit=$((now + 500))
  # Without a unit, systemd itself is shown.
  while [ $# -gt 0 ] || [ "$asked" -eq 0 ]; do
    blocks=$(properties "$@")
    status=$?
    [ -z "$blocks" ] || printf '%s\n\n' "$blocks"
    [ "$status" -ne 0 ] || return 0
    clock
    [ -z "$blocks" ] || refused=0 limit=$((now + 500))
    while case "$blocks" in *Id=*) ;; *) false ;; esac; do blocks=${blocks#*Id=}; shift; done
    [ $# -gt 0 ] || [ "$asked" -eq 0 ] || return 0
    [ "$now" -lt "$limit" ] || return 1
    # A systemd that tells whether the unit is active answers; it may have been away when it was to show the unit.
    active=
    [ $# -eq 0 ] || active=$(systemctl is-active -- "$1")
    [ "$active" ] || { sleep 0.1 2>/dev/null || sleep 1; continue; }
    refused=$((refused + 1))
    [ "$refused" -ge 3 ] && ! why=$(properties "$1" 2>&1 >/dev/null) || continue
    printf 'Id=%s\nActiveState=%s\nUnknown=%s\n\n' "$1" "$active" "${why%%
*}"
    refused=0
    shift
  done
}
# properties UNIT...: its times in UTC, for that is how they are read
properties() { TZ=UTC systemctl show --no-pager --property="$P" -- "$@"; }
# find_template UNIT: sets $file to the file of a template and $load to what systemd would say; it has no state of one
find_template() {
  load=not-found file=
  for folder in "$D" $F; do
    ! is_there "$folder/$1" || { load=loaded file=$folder/$1; break; }
  done
}
# status_of UNIT LINES: for people, with the characters their terminals can show
status_of() { LC_ALL=C.UTF-8 systemctl status --no-pager --full --lines="$2" -- "$1"; }
