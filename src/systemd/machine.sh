# The words every script to a machine is made of: POSIX sh, and of its tools only what coreutils, util-linux
# and systemd bring. Set before it: M marker of the frames · D folder of unit files · L fleet's own folder ·
# R folder of the lock · P properties to show · F folders of other unit files; for change.sh also W seconds to wait
# for the lock

export LC_ALL=C SYSTEMD_COLORS=0 SYSTEMD_PAGER= SYSTEMD_URLIFY=0 PATH="$PATH:/usr/sbin:/sbin"
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

# --- reading

# clock: hundredths of a second since the machine booted, in $now
clock() { read -r now rest </proc/uptime && now=$((${now%.*} * 100 + 1${now#*.} - 100)); }
facts() {
  # A file without a newline at its end still holds a line.
  { read -r id || [ "$id" ]; } </etc/machine-id && echo "machine-id $id"
  read -r boot </proc/sys/kernel/random/boot_id && echo "boot-id $boot"
  read -r uptime rest </proc/uptime && echo "uptime $uptime"
  [ ! -s "$L/cluster" ] || { read -r owner <"$L/cluster" && echo "cluster $owner"; }
  leased
  [ "$deadline" = 0 ] || ! systemctl is-active --quiet fleet-lease.service || echo "lease $deadline"
}
# leased: sets $deadline to that of the lease of the machine, 0 when it has none; $boot is its boot id
leased() {
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
records() { cd "$L/units" && cat -- "$@"; }
# late UNIT...: the records that have come since those in $known were read, or what another fleet process has just put
# there would count as somebody else's
late() {
  cd "$L/units" 2>/dev/null || return 0
  for unit; do
    shift
    case "$known" in *" $unit "*) continue ;; esac
    [ ! -f "./$unit" ] || set -- "$@" "$unit"
  done
  [ $# -eq 0 ] || section late cat -- "$@"
}
is_there() { [ -e "$1" ] || [ -L "$1" ]; }
# there UNIT...: those of them in $there that systemd may tell something of, and that are not in $known. With many
# names, most are of other machines, and systemd would look everywhere for each of them.
there() {
  there= folders=
  for folder in "$D" $F; do [ ! -d "$folder" ] || folders="$folders $folder"; done
  for unit; do
    case "$known" in *" $unit "*) continue ;; esac
    ! has_traces "$unit" || there="$there $unit"
  done
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
  for dropin in *.d/zz-fleet-fenced.conf; do [ ! -f "$dropin" ] || set -- "$@" "$dropin"; done
  sha256sum -- "$@"
}
# links: what makes other units pull a unit in
links() {
  cd "$D" || return
  for link in *.wants/* *.requires/* *.upholds/*; do [ ! -L "$link" ] || printf '%s\n' "$link"; done
}
# texts UNIT...: their files, each as a line `unit base64`: that keeps every byte, which $(...) would not
texts() {
  # Else every text would be empty.
  [ -z "$(absent base64)" ] || { echo 'base64 is not there, install coreutils' >&2; return 12; }
  cd "$D" || return
  for unit; do [ ! -f "./$unit" ] || printf '%s %s\n' "$unit" "$(base64 -w 0 <"./$unit")"; done
}
# tokens: everything that holds a token, also of what was removed
tokens() { cd "$L" && cat -- units/* removed/* 2>/dev/null; }
# glance UNIT...: a line each of those that systemd has in memory. All of them cost as much as a few that are shown, for
# systemd collects every property of a unit to show one. Names are taken for patterns here: ? stands for a backslash.
glance() {
  for unit; do
    shift
    while case "$unit" in *\\*) ;; *) false ;; esac; do unit=${unit%%\\*}?${unit#*\\}; done
    set -- "$@" "$unit"
  done
  systemctl list-units --all --full --plain --no-legend --no-pager -- "$@"
}
# runs UNIT...: the run that each is in, where it is in one; systemd since 233 keeps links to their invocation ids
runs() {
  cd /run/systemd/units || return
  for unit; do
    shift
    [ ! -L "invocation:$unit" ] || set -- "$@" "invocation:$unit"
  done
  [ $# -eq 0 ] || stat -c '%n %N' -- "$@"
}
# show UNIT...: its times in UTC, for that is how they are read
show() { TZ=UTC systemctl show --no-pager --property="$P" -- "$@"; }
# journal UNIT LINES SECONDS: the last lines about it. Together with --since, --lines would give the first ones.
journal() { journalctl --no-pager --quiet --output=cat --since="-$3s" --unit="$1" | tail -n "$2"; }
# status_of UNIT LINES: for people, with the characters their terminals can show
status_of() { LC_ALL=C.UTF-8 systemctl status --no-pager --full --lines="$2" -- "$1"; }

# stage: an empty folder for unit files that are only looked at; $V names it
stage() { { [ -d "$R" ] || mkdir -p "$R"; } && V=$(mktemp -d "$R/verify.XXXXXX"); }
# analyze PATH...: what systemd has against them, and its version. Its exit status counts warnings since 250, if
# asked to; without --man=no a manual page that is not installed would be an error.
analyze() {
  version_of systemd-analyze || return
  echo "$version"
  [ "${version:-0}" -lt 250 ] || set -- --recursive-errors=one "$@"
  cd "$V" && systemd-analyze verify --man=no "$@"
}
