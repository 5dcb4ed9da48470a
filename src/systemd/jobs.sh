# Jobs of systemd, and states by its lists, which also have units that systemctl cannot show.

# is_away: by $said, systemd did not respond because it re-executes itself (daemon-reexec)
is_away() { case "$said" in *'timed out'*) return 1 ;; *onnect* | *'Broken pipe'*) ;; *) return 1 ;; esac; }
# retry COMMAND...: repeats it while systemd is away, for five seconds in total; after that it is run once. $said is its
# last output.
retry() {
  clock
  give_up_at=$((now + ${patience_left:-500}))
  while :; do
    said=$("$@" 2>&1) && return
    failed=$?
    is_away || return "$failed"
    clock
    [ "$now" -lt "$give_up_at" ] || { patience_left=0; return "$failed"; }
    sleep 0.1 2>/dev/null || sleep 1
  done
}
# order COMMAND...: the same, with output
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
  said=$("$word" "$@" 2>&1)
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
  renewed=0
  for unit; do case "$again " in *" $unit "*) restart_job "$unit" || renewed=$? ;; esac; done
  systemctl start --no-block -- "$@" && return "$renewed"
}
restart_job() { systemctl restart --no-block -- "$@"; }
stop_job() { systemctl stop --no-block -- "$@"; }
reset_failed() { systemctl reset-failed -- "$@"; }

# queue: sets $said to all jobs
queue() { retry systemctl list-jobs --full --plain --no-legend --no-pager; }

# await UNIT...: until systemd has no job for any of them; 1 after $deadline, or without one after two minutes
await() {
  clock
  turns=0 end=${deadline:-$((now + 12000))}
  while queue || return; do
    case "$(printf '%s\n' "$said" | while read -r id unit rest; do case " $* " in *" $unit "*) echo yes ;; esac; done)" in
      '') return 0 ;;
    esac
    clock
    [ "$now" -lt "$end" ] || return 1
    turns=$((turns + 1))
    # Most jobs take a few milliseconds. A sleep without fractions takes a second.
    if [ "$turns" -lt 6 ]; then pause=0.01; elif [ "$turns" -lt 40 ]; then pause=0.05; else pause=0.5; fi
    sleep "$pause" 2>/dev/null || sleep 1
  done
}

# read_lists: sets $busy to the units that are not down, as "|UNIT ACTIVE SUB|UNIT ACTIVE SUB|", units with jobs included, and
# $listed to the units that systemd lists: active and failed ones, and those with jobs.
read_lists() {
  has_lists=
  queue || { printf '%s\n' "$said"; return 1; }
  jobs=$said
  retry systemctl list-units --full --plain --no-legend --no-pager || { printf '%s\n' "$said"; return 1; }
  listed=$said has_lists=yes
  busy="|$(printf '%s\n' "$listed" | while read -r unit load active sub rest; do
    case "$active" in inactive | failed) ;; *) printf '%s %s %s|' "$unit" "$active" "$sub" ;; esac
  done)$(printf '%s\n' "$jobs" | while read -r id unit kind rest; do printf '%s job %s|' "$unit" "$kind"; done)"
}
# listed_states UNIT...: the units that were not down in the last lists, and the invocations of these units
listed_states() {
  printf '%s\n' "$busy"
  invocations "$@"
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
  run=$(invocations "$1" 2>/dev/null)
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
  systemctl show --no-pager --property=ControlGroup -- "$@" 2>/dev/null | while IFS='=' read -r key group; do
    case "$busy" in *"|${group##*/} "*) continue ;; esac
    for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd; do
      [ "$group" ] && [ -r "$tree$group/cgroup.procs" ] || continue
      number=$(wc -l <"$tree$group/cgroup.procs")
      [ "$number" -eq 0 ] || echo "${group##*/} $number"
    done
  done
}

# touched: unit files are about to change. If this script is killed before the reload, the next script reloads.
touched() { changed=yes && printf '' >"$L/reload"; }
reload() { order systemctl daemon-reload && rm -f "$L/reload" && changed=; }
