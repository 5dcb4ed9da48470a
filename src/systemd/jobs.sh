# Jobs of systemd, and states by its lists, which also have units that systemctl cannot show.

# is_away: by $said, systemd did not respond because it re-executes itself (daemon-reexec)
is_away() { case "$said" in *'timed out'*) return 1 ;; *onnect* | *'Broken pipe'*) ;; *) return 1 ;; esac; }
# request VERB...: sets $said to all that systemctl prints
request() {
  said=$(timeout -k 1 "${S:-31}" systemctl "$@" 2>&1) && return
  set -- $?
  case $1 in 124 | 137) said="$said${nl}systemctl timed out after ${S:-31} s" ;; esac
  return "$1"
}
# retry FUNCTION...: repeats it while systemd is away, for five seconds in total; after that it is run once. $said is its
# last output.
retry() {
  clock
  give_up_at=$((now + ${patience_left:-500}))
  while :; do
    "$@" && return
    failed=$?
    is_away || return "$failed"
    clock
    [ "$now" -lt "$give_up_at" ] || { patience_left=0; return "$failed"; }
    sleep 0.1 2>/dev/null || sleep 1
  done
}
# order FUNCTION...: the same, with output
order() {
  retry "$@"
  failed=$?
  [ -z "$said" ] || printf '%s\n' "$said"
  return "$failed"
}
# batch FUNCTION UNIT...: for all units at once, or one by one if systemd is away in the meantime
batch() {
  word=$1
  shift
  "$word" "$@"
  failed=$?
  if [ "$failed" -eq 0 ] || ! is_away; then
    [ -z "$said" ] || printf '%s\n' "$said"
    return "$failed"
  fi
  worst=0
  for one; do order "$word" "$one" || worst=$failed; done
  return "$worst"
}
# start_job UNIT...: units in $again are restarted, because they run with their old text
start_job() {
  renewed=0 heard=
  for unit; do
    case "$again " in *" $unit "*) ;; *) continue ;; esac
    restart_job "$unit" || renewed=$?
    heard=$heard$said$nl
  done
  request start --no-block -- "$@" || renewed=$?
  said=$heard$said
  return "$renewed"
}
restart_job() { request restart --no-block -- "$@"; }
stop_job() { request stop --no-block -- "$@"; }
reset_failed() { request reset-failed -- "$@"; }

# queue: sets $said to all jobs
queue() { retry request list-jobs --full --plain --no-legend --no-pager; }
# is_queued UNIT...: one of them is in $said
is_queued() {
  wanted=" $* "
  # Some shells take a backslash for a pattern of file names.
  set -f
  set -- $said
  set +f
  for word; do case "$wanted" in *" $word "*) return 0 ;; esac; done
  return 1
}

# await UNIT...: until systemd has no job for any of them; 1 after $deadline, or without one after two minutes
await() {
  clock
  turns=0 end=${deadline:-$((now + 12000))} asked_at=$now
  while queue || return; do
    is_queued "$@" || return 0
    clock
    [ "$now" -lt "$end" ] || return 1
    turns=$((turns + 1))
    # Most jobs take a few milliseconds. A busy machine has half of the time for them.
    if [ "$turns" -lt 6 ]; then pause=1; elif [ "$turns" -lt 40 ]; then pause=5; else pause=50; fi
    [ "$((now - asked_at))" -le "$pause" ] || pause=$((now - asked_at))
    rest "$pause"
    clock
    asked_at=$now
  done
}
# rest TIME: in 1/100 s; a sleep without fractions takes seconds
rest() { sleep "$(($1 / 100)).$(($1 / 10 % 10))$(($1 % 10))" 2>/dev/null || sleep "$(($1 / 100 + 1))"; }

# read_lists: sets $busy to the units that are not down, as "|UNIT ACTIVE SUB|UNIT ACTIVE SUB|", units with jobs included, and
# $listed to the units that systemd lists: active and failed ones, and those with jobs. So a unit that is listed and down may have a
# job, and the jobs are read then, before the units.
read_lists() {
  has_lists= jobs=
  [ -z "$lists_jobs" ] || read_jobs || return
  read_units || return
  if [ -z "$lists_jobs" ] && [ "$downs" ]; then
    lists_jobs=yes
    read_jobs && read_units || return
  fi
  set -f
  set -- $jobs
  set +f
  while [ $# -ge 4 ]; do busy="$busy$2 job $3|"; shift 4; done
  has_lists=yes
}
read_jobs() { queue && jobs=$said || { printf '%s\n' "$said"; return 1; }; }
read_units() {
  retry request list-units --full --plain --no-legend --no-pager || { printf '%s\n' "$said"; return 1; }
  listed=$said busy='|' downs=
  set -f
  IFS=$nl
  set -- $listed
  unset IFS
  for line; do
    set -- $line
    case "$3" in inactive | failed) downs=yes ;; *) busy="$busy$1 $3 $4|" ;; esac
  done
  set +f
}
# listed_states UNIT...: the units that were not down in the last lists, and the invocations of these units
listed_states() {
  invocations "$@"
  set -- $?
  out=$busy$nl$out
  return "$1"
}

# report SECTION UNIT...: the result of systemctl show; for units that it cannot show, at least their states in the lists
report() {
  report=$1
  shift
  section "$report" show "$@" && case "$out" in *Unknown=*) false ;; esac && return
  is_whole=
  step lists read_lists && section "$report-listed" listed_states "$@"
}
# starts_soon UNIT...: reports them if none of them has a job any more
starts_soon() {
  out=
  show "$@" </dev/null 2>/dev/null && case "$out" in *Job=[1-9]* | *Unknown=*) return 1 ;; esac || return
  frame started 0 "${#out}" "$out"
}
# report_again UNIT...: what has changed since they were reported. To show a unit takes systemd as long as to list many
report_again() {
  [ $# -gt 3 ] && [ "$is_whole" ] && step lists read_lists && section units-now listed_states "$@" || report units "$@"
}
# stops_soon UNIT...: they are down within 0.2 s. The link to its invocation id goes with each of them
stops_soon() {
  for pause in 1 1 2 4 8; do
    has_links "$@" || break
    rest "$pause"
  done
  read_lists || return
  for unit; do case "$busy" in *"|$unit "*) return 1 ;; esac; done
}
has_links() {
  for unit; do [ ! -L "/run/systemd/units/invocation:$unit" ] || return 0; done
  return 1
}

# instances TEMPLATE: those that systemd lists, without those that have a record
instances() {
  printf '%s\n' "$listed" | while read -r unit rest; do
    case "$unit" in "${1%@*}@"?*".${1##*.}") [ -f "$L/units/$unit" ] || printf '%s\n' "$unit" ;; esac
  done
}

# stopped UNIT [again|replace]: it was down in the last lists. It may run if another script has carried out the same decision;
# with a second word, also if something else has started it, which "replace" adds to $again. Otherwise 14, its state, whether
# its invocation is not in $ran, and what may have started it.
stopped() {
  [ "$has_lists" ] || return 15
  case "$busy" in *"|$1 "*) ;; *) return 0 ;; esac
  case "$(cat -- "$L/units/$1" 2>/dev/null)" in '' | *claimed=*) ;; *) return 0 ;; esac
  invocations "$1" 2>/dev/null
  run=$out
  case "$ran" in
    *"$run"*) run= ;;
    *) case "$2" in replace) again="$again $1" && return 0 ;; again) return 0 ;; esac ;;
  esac
  state=${busy#*"|$1 "}
  printf '%s\n' "${state%%|*}"
  [ -z "$run" ] || { echo again && causes "$1"; }
  return 14
}
# stopped_all TEMPLATE: the same for its instances
stopped_all() {
  [ "$has_lists" ] || return 15
  for unit in $(instances "$1"); do stopped "$unit" || return; done
}
# causes UNIT: active units that may have started it, with their relations
causes() {
  systemctl show --no-pager --property=UpheldBy,TriggeredBy,BoundBy,RequiredBy -- "$1" 2>/dev/null |
    while IFS='=' read -r relation units; do
      for unit in $units; do case "$busy" in *"|$unit "*) printf '%s=%s\n' "$relation" "$unit" ;; esac; done
    done
}
# left UNIT...: how many processes of units that are down still run, because of KillMode=
left() {
  find_slices || slices=
  if [ "$slices" ]; then
    for unit; do shift; ! has_cgroup "$unit" || set -- "$@" "$unit"; done
  fi
  [ $# -gt 0 ] || return 0
  told show --no-pager --property=ControlGroup -- "$@" 2>/dev/null
  set -f
  set -- $said
  set +f
  for group; do
    group=${group#ControlGroup=}
    case "$busy" in *"|${group##*/} "*) continue ;; esac
    for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd; do
      [ "$group" ] && [ -r "$tree$group/cgroup.procs" ] || continue
      number=$(wc -l <"$tree$group/cgroup.procs")
      [ "$number" -eq 0 ] || say "${group##*/} $number"
    done
  done
}
# find_slices: sets $slices to the folders in which systemd keeps the cgroups of units
find_slices() {
  slices= root=none
  while IFS=: read -r number kind path; do
    case "$kind $path" in ' '*/init.scope | 'name=systemd '*/init.scope) root=${path%/init.scope} ;; esac
  done </proc/1/cgroup
  [ "$root" != none ] || return
  set -- "/sys/fs/cgroup$root" "/sys/fs/cgroup/systemd$root"
  while [ $# -gt 0 ]; do
    folder=$1
    shift
    [ -d "$folder" ] || continue
    slices="$slices $folder"
    set -- "$@" "$folder"/*.slice
  done
}
# has_cgroup UNIT: systemd keeps one for a unit that is down only while there are processes in it. It puts a `_` before a name that a
# cgroup cannot have
has_cgroup() {
  for folder in $slices; do
    [ ! -d "$folder/$1" ] && [ ! -d "$folder/_$1" ] || return 0
  done
  return 1
}

# touched: unit files are about to change. If this script is killed before the reload, the next script reloads.
touched() { [ "$changed" ] || { changed=yes && printf '' >"$L/reload"; }; }
reload() { order request daemon-reload && rm -f "$L/reload" && changed=; }
