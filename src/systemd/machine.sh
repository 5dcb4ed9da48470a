# The functions of every script: POSIX sh, with tools of coreutils, util-linux and systemd only. Set before it: M marker
# of the frames · D folder of unit files · L folder of fleet · R folder of the lock · P properties to show · F folders of
# other unit files; for change.sh also W limit for the lock, in s. S may be set to the limit of systemctl, in s.

export LC_ALL=C SYSTEMD_COLORS=0 SYSTEMD_LOG_COLOR=0 SYSTEMD_PAGER= SYSTEMD_URLIFY=0 PATH="$PATH:/usr/sbin:/sbin"
# A lost connection must not end a script half-way.
trap '' PIPE
nl='
'

# frame NAME STATUS BYTES TEXT: one section of the answer; on stderr, the end of its part
frame() {
  printf '\n%s\n' "$M" >&2
  printf '%s %s %s %s\n%s' "$M" "$1" "$2" "$3" "$4"
}
# section NAME FUNCTION...: runs it in this shell and frames what it puts into $out. Functions read from /dev/null, because
# standard input is the script itself.
section() {
  section=$1 out=
  shift
  "$@" </dev/null >&2
  status=$?
  frame "$section" "$status" "${#out}" "$out"
  return "$status"
}
# from COMMAND...: puts its output into $out, for "section"
from() { out=$("$@"); }
# say LINE: adds it to $out
say() { out=$out${out:+$nl}$1; }
# step NAME COMMAND...: runs it in this shell; its output counts as stderr
step() {
  step=$1
  shift
  "$@" </dev/null >&2
  status=$?
  frame "$step" "$status" 0 ''
  return "$status"
}
# attempt NAME COMMAND...: the same for one of many units, without a frame for a success, because a machine sends each of them
# by itself
attempt() {
  step=$1
  shift
  "$@" </dev/null >&2 && return
  status=$?
  frame "$step" "$status" 0 ''
  return "$status"
}

# leave: releases the locks
leave() { exec 7>&- 8>&- 9>&-; }

# absent TOOL...: puts the tools that are not installed into $out
absent() {
  out=
  for tool; do command -v "$tool" >/dev/null || say "$tool"; done
}

# within SECONDS TOOL...: ends a tool that hangs
within() { timeout -k 1 "$@" || ended $? "$@"; }
# ended STATUS SECONDS TOOL...: whether "timeout" has ended it
ended() {
  case $1 in 124 | 137) echo "$3 timed out after $2 s" >&2 ;; esac
  return "$1"
}
systemctl() { within "${S:-31}" systemctl "$@"; }
# told VERB...: puts the output of systemctl into $said, with times in UTC, which the reader expects
told() { said=$(TZ=UTC timeout -k 1 "${S:-31}" systemctl "$@") || ended $? "${S:-31}" systemctl; }
journalctl() { within 20 journalctl "$@"; }

# --- reading

# clock: sets $now to the time since boot, in 1/100 s
clock() { read -r now rest </proc/uptime && now=$((${now%.*} * 100 + 1${now#*.} - 100)); }
# facts CLOCK: facts about the machine; with a CLOCK also the time of day, which takes a process
facts() {
  # The file may have no newline at its end.
  { read -r id || [ "$id" ]; } </etc/machine-id && say "machine-id $id"
  read -r boot </proc/sys/kernel/random/boot_id && say "boot-id $boot"
  read -r uptime rest </proc/uptime && say "uptime $uptime"
  [ ! -s "$L/cluster" ] || { read -r owner <"$L/cluster" && say "cluster $owner"; }
  read_lease
  [ "$deadline" = 0 ] || ! systemctl is-active --quiet fleet-lease.service || say "lease $deadline"
  [ -z "$1" ] || say "clock $(date +%s)"
}
# read_lease: sets $deadline to that of the lease, 0 for none; $boot is the boot id
read_lease() {
  deadline=0
  [ -s "$R/lease" ] || return 0
  read -r leased_boot deadline <"$R/lease" && [ "$leased_boot" = "$boot" ] || deadline=0
  case "$deadline" in '' | *[!0-9]*) deadline=0 ;; esac
}
# version_of PROGRAM: sets $version to that of a program of systemd
version_of() { version=$("$1" --version) && version=${version#systemd } && version=${version%%[!0-9]*}; }
# recent_version: sets $version to that of systemd, which takes processes, so it may be two minutes old
recent_version() {
  clock
  [ "$now" -lt "${version_due:-0}" ] || { version_of systemctl && version_due=$((now + 12000)); }
}
# vitals: load, memory, and $version
vitals() {
  read -r one five fifteen rest </proc/loadavg && say "load $one $five $fifteen"
  # MemTotal, MemFree and, since Linux 3.14, MemAvailable are the first lines, in KiB.
  { read -r key total rest && read -r key rest && read -r key available rest; } </proc/meminfo &&
    [ "$key" = MemAvailable: ] && say "memory $total $available"
  say "systemd $version"
}
# each COMMAND FILE...: runs it on the regular files, with its output in $out, because a folder or a pipe among them must not make the
# machine unusable. It fails if a file cannot be read, unless another fleet process has removed the file in the meantime
each() {
  command=$1 out=
  shift
  while :; do
    for file; do shift; [ ! -f "$file" ] || set -- "$@" "$file"; done
    [ $# -gt 0 ] || return 0
    out=$("$command" -- "$@") && return
    for file; do [ -e "$file" ] || continue 2; done
    return 1
  done
}
# records UNIT...: without units, fails unless the folder of records is readable
records() {
  [ $# -gt 0 ] || { [ ! -e "$L/units" ] || ls -A -- "$L/units" >/dev/null; return; }
  cd "$L/units" && each cat "$@"
}
# recorded UNIT...: the units whose records still exist, which tells damaged records from removed ones, in a section. A folder in the
# place of a record is a damaged one
recorded() {
  for unit; do shift; [ ! -e "$L/units/$unit" ] || set -- "$@" "$unit"; done
  out="$*"
  frame recorded 0 "${#out}" "$out"
}
# added UNIT...: the records that were added since those in $known were read. Without them, a unit that another fleet process
# has just installed would count as foreign
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
# is_stateless UNIT: systemd has no state of it: a template, or a folder in the place of a unit file, without a record and a run
is_stateless() {
  is_template "$1" || { [ -d "$D/$1" ] && [ ! -e "$L/units/$1" ] && [ ! -L "/run/systemd/units/invocation:$1" ]; }
}
# find_units UNIT...: sets $found to the units that systemd may know and that are not in $known, also in a section. Most
# names are of units on other machines, and systemd would search all its folders for each of them.
find_units() {
  found= stem=@
  find_folders
  for unit; do
    case "$known" in *" $unit "*) continue ;; esac
    ! has_traces "$unit" || found="$found $unit"
  done
  frame found 0 "${#found}" "$found"
}
# find_folders: sets $folders to the folders of unit files that exist
find_folders() {
  folders=
  for folder in "$D" $F; do [ ! -d "$folder" ] || folders="$folders $folder"; done
}
# has_traces UNIT: it has a file, a template or an invocation; systemd before 233 keeps no links to invocations
has_traces() {
  [ ! -L "/run/systemd/units/invocation:$1" ] && [ -d /run/systemd/units ] || return 0
  case "$1" in
    *@*)
      [ "${1%%@*}" = "$stem" ] || list_stem "${1%%@*}"
      case "$stem_files" in *" $1 "* | *" $stem@.${1##*.} "*) return 0 ;; esac
      ;;
    *) for folder in $folders; do [ ! -e "$folder/$1" ] && [ ! -L "$folder/$1" ] || return 0; done ;;
  esac
  return 1
}
# list_stem STEM: sets $stem_files to the templates and instances with that name, which is one search for all of them
list_stem() {
  stem=$1 stem_files=' '
  for folder in $folders; do
    for file in "$folder/$1@"*; do ! is_there "$file" || stem_files="$stem_files${file##*/} "; done
  done
}
# digests UNIT...: of unit files, or of the template of an instance without one, and of the drop-ins of fenced units
digests() {
  cd "$D" || return
  set -- "$@" *.d/zz-fleet-fenced.conf
  for file; do
    shift
    case "$file" in */*) ;; *@*) [ -f "$file" ] || file=${file%%@*}@.${file##*.} ;; esac
    set -- "$@" "$file"
  done
  each sha256sum "$@"
}
# Starts the launched units at boot. By default, a target is ordered after its units. This one is not, because it starts with
# multi-user.target, and units with After=multi-user.target would be in a cycle.
boot_text='[Unit]
Description=Units started by fleet
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target'
# boots: fleet.target has that text
boots() {
  [ -f fleet.target ] && contents fleet.target && [ "$text" = "$boot_text
" ]
}
# contents FILE: sets $text to its lines, without the process that cat takes; only for short files
contents() {
  text=
  while IFS= read -r line || [ "$line" ]; do
    text="$text$line
"
  done <"$1"
}
# links: through which units pull other units in. Links of fleet.target count only if it has its text, because nothing starts it otherwise.
links() {
  cd "$D" || return
  useless='fleet.target.wants/*'
  ! boots || [ ! -L multi-user.target.wants/fleet.target ] || useless=
  for link in *.wants/* *.requires/* *.upholds/*; do
    case "$link" in $useless) continue ;; esac
    [ ! -L "./$link" ] || say "$link"
  done
}
# show UNIT...: puts a block of properties for each into $out, in this order, or the reason why systemd cannot show it. systemctl ends at
# the first unit that it cannot show, and when systemd re-executes itself. 1: systemd is unresponsive
show() {
  for unit; do
    shift
    is_stateless "$unit" || { set -- "$@" "$unit"; continue; }
    find_template "$unit"
    out="${out}Id=$unit${nl}LoadState=$load${nl}ActiveState=inactive${nl}SubState=dead${nl}FragmentPath=$file$nl$nl"
  done
  clock
  asked=$# refused=0 limit=$((now + 500))
  # Without a unit, systemctl shows the manager.
  while [ $# -gt 0 ] || [ "$asked" -eq 0 ]; do
    properties "$@"
    status=$?
    [ -z "$said" ] || out=$out$said$nl$nl
    [ "$status" -ne 0 ] || return 0
    clock
    [ -z "$said" ] || refused=0 limit=$((now + 500))
    while case "$said" in *Id=*) ;; *) false ;; esac; do said=${said#*Id=}; shift; done
    [ $# -gt 0 ] || [ "$asked" -eq 0 ] || return 0
    [ "$now" -lt "$limit" ] || return 1
    # If systemd knows whether the unit is active, it is responsive; before, it may have been away.
    active=
    [ $# -eq 0 ] || active=$(systemctl is-active -- "$1")
    [ "$active" ] || { sleep 0.1 2>/dev/null || sleep 1; continue; }
    refused=$((refused + 1))
    [ "$refused" -ge 3 ] && ! why=$(properties "$1" 2>&1) || continue
    out="${out}Id=$1${nl}ActiveState=$active${nl}Unknown=${why%%"$nl"*}$nl$nl"
    refused=0
    shift
  done
}
properties() { told show --no-pager --property="$P" -- "$@"; }
# find_template UNIT: sets $file to the file of a unit without a state and $load to its LoadState
find_template() {
  load=not-found file=
  for folder in "$D" $F; do
    ! is_there "$folder/$1" || { load=loaded file=$folder/$1; break; }
  done
}
# status_of UNIT LINES: output for a terminal, in UTF-8
status_of() { LC_ALL=C.UTF-8 systemctl status --no-pager --full --lines="$2" -- "$1"; }
