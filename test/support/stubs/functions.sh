# The stubs of the tools that scripts call most, as functions of the shell that runs the script, because a process takes a
# millisecond: without them, one call of systemctl takes four. They return words in variables and read files with `read`.
# Environment:
# STUB       folder of their state: calls, events, loaded/UNIT (the text that systemd has read), active/UNIT
# STUB_UNITS folders of unit files, in order of precedence, one in each line
# SNAPSHOTS  folder for a copy of the machine before each command that changes something, which is what a kill there would leave.
#            A command that only reads does not count: before it, the machine is in the same state as before the next one
# KILL_AT    kills the shell of the script (SCRIPT_SHELL) instead of running the command with that number

has_stubs=yes
# A script has no limit here, unless systemctl hangs.
timeout() {
  [ "$1" != -k ] || [ -e "$STUB/hang" ] || case "$4" in
    systemctl | systemd-run | sync) shift 3; stub_call "$@"; return ;;
  esac
  command timeout "$@"
}
systemctl() { stub_call systemctl "$@"; }
sync() { stub_call sync "$@"; }
stub_call() { if [ "$KILL_AT$SNAPSHOTS" ]; then stub_interrupt "$@"; else stub_run "$@"; fi; }
stub_run() {
  case "$1" in
    systemctl) shift; stub_systemctl "$@" ;;
    systemd-run) shift; stub_systemd_run "$@" ;;
    sync) shift; stub_sync "$@" ;;
    *) command "$@" ;;
  esac
}
if [ "$KILL_AT$SNAPSHOTS" ]; then
  for tool in cp ln mkdir mv rm rmdir sleep; do eval "$tool() { stub_call $tool \"\$@\"; }"; done
fi
# stub_interrupt TOOL WORD...
stub_interrupt() {
  printf '%s\n' "$1" >>"$STUB/processes"
  case "$1 $2 $3" in
    'systemctl show '* | 'systemctl is-active '* | 'systemctl list-'*) ;;
    'mv -f --' | 'ln -s --' | 'rm -f --') stub_each "$@"; return ;;
    *) stub_pause ;;
  esac
  stub_run "$@"
}
# stub_each TOOL OPTION -- FILE... [PLACE]: a command for many files can be killed between any two of them
stub_each() {
  stub_tool=$1 stub_option=$2 stub_place=
  [ "$1" = rm ] || for stub_place; do :; done
  shift 3
  while [ $# -gt 1 ] || { [ $# -gt 0 ] && [ -z "$stub_place" ]; }; do
    stub_pause
    command "$stub_tool" "$stub_option" -- "$1" ${stub_place:+"$stub_place"} || return
    shift
  done
}
stub_pause() {
  stub_calls=0
  [ ! -e "$STUB/killing" ] || read -r stub_calls <"$STUB/killing"
  stub_calls=$((stub_calls + 1))
  echo "$stub_calls" >"$STUB/killing"
  [ -z "$SNAPSHOTS" ] || command cp -a -- "${STUB%/stub}" "$SNAPSHOTS/$stub_calls"
  [ "$stub_calls" != "$KILL_AT" ] || { kill -KILL "$SCRIPT_SHELL"; exit 1; }
}

# Stub of systemctl(1) and systemd. Like systemd, it keeps the text of a unit that it has read until daemon-reload.
#
# Lines of a unit file define its behaviour: ExecStart=/bin/false fails at once · ExecStart=/nonexistent cannot be
# started · Type=oneshot ends successfully at once · ExecStop=three-looks stops after three polls of its job ·
# ExecStop=hold stops once the file $STUB/release exists · ExecStop=never keeps running ·
# ExecStart=hold is up once the file $STUB/release exists · ExecStart=unshowable cannot be shown
#
# $STUB/away is a number of calls that fail because systemd re-executes itself: one unit is shown, then the call fails
# $STUB/hang makes all calls hang
# $STUB/shared is there if two scripts may call it at once
# $STUB/note-files names a file: each daemon-reload is noted with whether it is there
# $STUB/tied names a unit that stops with every other one
stub_systemctl() (
  set +f
  unset IFS
  # Its own commands do not count.
  KILL_AT='' SNAPSHOTS=''
  [ ! -e "$STUB/hang" ] || exec sleep 1000
  # systemd handles requests one after another.
  [ ! -e "$STUB/shared" ] || { exec 7>"$STUB/lock" && flock 7; }

  verb=$1
  shift
  case "$verb" in
    --version) echo 'systemd 252 (252.39-1)'; exit ;;
    is-system-running) echo running; exit ;;
  esac
  noted=
  if [ "$verb" = daemon-reload ] && [ -e "$STUB/note-files" ]; then
    read -r name <"$STUB/note-files" || :
    [ ! -e "${STUB_UNITS%%
*}/$name" ] || noted='with the file'
  fi
  printf '%s\n' "$verb ${noted:-$*}" >>"$STUB/calls"
  arguments=$* properties='' units='' options=yes quiet=''
  for word; do
    case "$options$word" in
      yes--) options= ;;
      yes--quiet) quiet=yes ;;
      yes--property=*) properties=${word#*=} ;;
      yes-*) ;;
      *) units="$units$word
" ;;
    esac
  done

  # file_of UNIT: sets `file` to its file, or to that of its template
  file_of() {
    file=
    while IFS= read -r folder; do
      if [ -e "$folder/$1" ]; then file=$folder/$1; return; fi
    done <<EOF
$STUB_UNITS
EOF
    case "$1" in *@.*) ;; *@*) file_of "${1%%@*}@.${1##*.}" ;; esac
  }
  # load_unit UNIT: systemd reads a unit file when the unit is first used
  load_unit() {
    [ ! -e "$STUB/loaded/$1" ] || return 0
    file_of "$1"
    [ -z "$file" ] || cat "$file" >"$STUB/loaded/$1"
  }
  # has FILE LINE
  has() {
    [ -e "$1" ] || return 1
    while IFS= read -r line || [ -n "$line" ]; do [ "$line" != "$2" ] || return 0; done <"$1"
    return 1
  }
  has_line() { has "$STUB/loaded/$1" "$2"; }
  # describe FILE: sets `description`
  describe() {
    description=
    [ -e "$1" ] || return 0
    while IFS= read -r line; do
      case "$line" in Description=*) description=${line#*=} ;; esac
    done <"$1"
  }
  state_of() {
    active=inactive sub=dead result=success invocation='' polls=0
    [ ! -e "$STUB/active/$1" ] || . "$STUB/active/$1"
    linked=$invocation
  }
  remember() {
    case "$active" in
      inactive | failed) [ ! -L "$STUB/runs/invocation:$1" ] || rm -f "$STUB/runs/invocation:$1" ;;
      *) [ "$invocation" = "$linked" ] || ln -sfn "$invocation" "$STUB/runs/invocation:$1" ;;
    esac
    printf 'active=%s sub=%s result=%s invocation=%s polls=%s\n' "$active" "$sub" "$result" "$invocation" "$polls" \
      >"$STUB/active/$1"
  }
  # begin_run: sets `invocation` to a new id
  begin_run() {
    read -r id </proc/sys/kernel/random/uuid
    invocation=
    while case "$id" in *-*) ;; *) false ;; esac; do invocation=$invocation${id%%-*} id=${id#*-}; done
    invocation=$invocation$id
  }
  stopped() {
    printf '%s\n' "stopped $1" >>"$STUB/events"
    active=inactive sub=dead
    has "$STUB/upheld" "$1" || return 0
    printf '%s\n' "again $1" >>"$STUB/events"
    active=active sub=running
    begin_run
  }
  start() {
    load_unit "$1"
    state_of "$1"
    [ "$active" != active ] || return 0
    if [ ! -e "$STUB/loaded/$1" ]; then echo "Failed to start $1: Unit $1 not found." >&2; return 5; fi
    if has_line "$1" ExecStart=/nonexistent; then
      echo "Failed to start $1: Unit $1 has a bad unit file setting." >&2
      return 1
    fi
    describe "$STUB/loaded/$1"
    printf '%s\n' "start $1 as $description" >>"$STUB/events"
    begin_run
    active=active sub=running result=success
    ! has_line "$1" Type=oneshot || { active=inactive sub=dead; }
    ! has_line "$1" ExecStart=hold || { active=activating sub=start; }
    ! has_line "$1" ExecStart=/bin/false || { active=failed sub=failed result=exit-code; }
    remember "$1"
  }
  # revert UNIT: runs the script of a fleet-confirm@UNIT.service, which calls this stub again
  revert() {
    file_of "$1"
    instance=${1#fleet-confirm@}
    while IFS= read -r line; do
      case "$line" in ExecStart=*) script=${line#ExecStart=/bin/sh } ;; esac
    done <"$file"
    exec 7>&-
    script=${script%%%i*}${instance%.service}${script##*%i}
    case "$arguments" in *--no-block*) true >"$STUB/shared"; ( /bin/sh "$script" >/dev/null 2>&1 & ); return ;; esac
    /bin/sh "$script" >&2
  }
  stop() {
    state_of "$1"
    case "$active" in active | activating) ;; *) return 0 ;; esac
    describe "$STUB/loaded/$1"
    event="stop $1 as $description"
    file_of "$1"
    describe "$file"
    printf '%s\n' "$event beside $description" >>"$STUB/events"
    if has_line "$1" ExecStop=never; then return 0; fi
    if has_line "$1" ExecStop=three-looks || has_line "$1" ExecStop=hold; then
      active=deactivating sub=stop-sigterm polls=0
    else
      stopped "$1"
    fi
    remember "$1"
  }
  # poll UNIT: polls its job, and completes slow starts and stops
  poll() {
    state_of "$1"
    if [ "$active" = deactivating ]; then
      polls=$((polls + 1))
      if has_line "$1" ExecStop=hold; then
        [ ! -e "$STUB/release" ] || stopped "$1"
      elif [ "$polls" -ge 3 ]; then
        stopped "$1"
      fi
      remember "$1"
    fi
    if [ "$active" = activating ] && [ -e "$STUB/release" ]; then
      active=active sub=running
      remember "$1"
    fi
  }
  # list_jobs, list_units: for all units with a state
  list_jobs() {
    for known in "$STUB/active"/*; do
      [ -e "$known" ] || continue
      unit=${known##*/}
      poll "$unit"
      case "$active" in deactivating) echo "7 $unit stop running" ;; activating) echo "7 $unit start running" ;; esac
    done
  }
  list_units() {
    for known in "$STUB/active"/*; do
      [ -e "$known" ] || continue
      state_of "${known##*/}"
      [ "$active" = inactive ] || echo "${known##*/} loaded $active $sub a unit"
    done
  }
  show() {
    load_unit "$1"
    ! has_line "$1" ExecStart=unshowable || { echo 'Failed to get properties: Invalid argument' >&2; exit 1; }
    state_of "$1"
    case "$properties" in
      ControlGroup) ;;
      ActiveState) echo "ActiveState=$active" ;;
      LoadState) if [ -e "$STUB/loaded/$1" ]; then echo LoadState=loaded; else echo LoadState=not-found; fi ;;
      RefuseManualStop) ! has_line "$1" RefuseManualStop=yes || echo RefuseManualStop=yes ;;
      UpheldBy,*) echo UpheldBy=app.target RequiredBy= ;;
      *)
        load=not-found kind=simple
        [ ! -e "$STUB/loaded/$1" ] || load=loaded
        ! has_line "$1" Type=oneshot || kind=oneshot
        file_of "$1"
        printf '%s\n' "Id=$1" "Names=$1" "LoadState=$load" 'LoadError= ""' "ActiveState=$active" "SubState=$sub" \
          "Type=$kind" "Result=$result" ExecMainStatus=0 ExecMainCode=0 NRestarts=0 "InvocationID=$invocation" \
          "FragmentPath=$file"
        case "$active" in activating | deactivating) echo Job=7 ;; esac
        ;;
    esac
    echo
  }
  # status_of UNIT: like systemctl, returns 3 for a unit that is not active, 4 for an unknown unit
  status_of() {
    load_unit "$1"
    state_of "$1"
    [ -e "$STUB/loaded/$1" ] || { echo "Unit $1 could not be found." >&2; return 4; }
    echo "● $1 is $active"
    [ "$active" = active ] || return 3
  }
  # Reads the files of all loaded units again.
  daemon_reload() {
    [ ! -e "$STUB/refuse-reload" ] || { echo 'Failed to reload daemon: Connection timed out' >&2; return 1; }
    for link in "${STUB_UNITS%%
*}"/*.upholds/*; do
      [ ! -L "$link" ] || printf '%s\n' "${link##*/}"
    done >"$STUB/upheld"
    for known in "$STUB/loaded"/*; do
      [ -e "$known" ] || continue
      file_of "${known##*/}"
      if [ -n "$file" ]; then cat "$file" >"$known"; else rm -f "$known" "$STUB/runs/invocation:${known##*/}"; fi
    done
  }

  # systemd does not answer while it re-executes itself.
  if [ -e "$STUB/reexec" ] && [ "$(wc -l <"$STUB/reexec")" -lt 3 ]; then
    echo >>"$STUB/reexec"
    echo "Failed to $verb: Transport endpoint is not connected" >&2
    exit 1
  fi
  [ ! -e "$STUB/out-of-order" ] || { echo 'Failed to connect to bus: Connection refused' >&2; exit 1; }
  case "$verb" in
    daemon-reload) daemon_reload; exit ;;
    show) [ "$properties" != UserspaceTimestampMonotonic ] || { echo UserspaceTimestampMonotonic=1000000; exit; } ;;
    list-jobs) list_jobs; exit ;;
    list-units) list_units; exit ;;
  esac
  away=0
  case "$verb$quiet" in
    show | is-active)
      [ ! -e "$STUB/away" ] || read -r away <"$STUB/away"
      [ "$away" -eq 0 ] || echo "$((away - 1))" >"$STUB/away"
      [ "$away" -eq 0 ] || [ "$verb" = show ] ||
        { echo 'Failed to retrieve unit state: Connection reset by peer' >&2; exit 1; }
      ;;
  esac
  status=0
  while IFS= read -r unit; do
    [ -z "$unit" ] || case "$verb" in
      show)
        show "$unit"
        [ "$away" -eq 0 ] || { echo 'Failed to get properties: Connection reset by peer' >&2; exit 1; }
        ;;
      start)
        case "$unit" in fleet-confirm@*.service) revert "$unit" ;; *) start "$unit" ;; esac || status=$?
        ;;
      restart) stop "$unit"; start "$unit" || status=$? ;;
      stop)
        stop "$unit"
        case "$unit" in fleet-confirm@*) continue ;; esac
        [ ! -e "$STUB/tied" ] || { read -r tied <"$STUB/tied" && stop "$tied"; }
        ;;
      status) status_of "$unit" || status=$? ;;
      is-active) state_of "$unit"; [ "$quiet" ] || echo "$active"; [ "$active" = active ] || status=3 ;;
      kill) state_of "$unit"; [ "$active" = inactive ] || { stopped "$unit"; remember "$unit"; } ;;
      reset-failed) rm -f "$STUB/failed-revert"; state_of "$unit"; [ "$active" != failed ] || { active=inactive; sub=dead; remember "$unit"; } ;;
    esac
  done <<EOF
$units
EOF
  exit "$status"
)

# Stub of systemd-run(1): `systemd-run --wait … COMMAND` runs the command, and `systemd-run --unit=NAME.service
# --on-active=TIME` makes NAME.timer active.
# $STUB/no-timers makes it fail, $STUB/failed-revert until "systemctl reset-failed"
stub_systemd_run() (
  active=
  case " $* " in *' --wait '*)
    while case "$1" in -*) ;; *) false ;; esac; do shift; done
    exec "$@"
    ;;
  esac
  [ ! -e "$STUB/no-timers" ] || { echo 'Failed to start transient timer unit: Connection timed out' >&2; exit 1; }
  [ ! -e "$STUB/failed-revert" ] || { echo 'Failed to start transient timer unit: Unit is not loaded properly' >&2; exit 1; }
  printf '%s\n' "systemd-run $*" >>"$STUB/calls"
  for word; do case "$word" in --unit=*) timer=${word#*=} ;; esac; done
  timer=${timer%.service}.timer
  [ ! -e "$STUB/active/$timer" ] || . "$STUB/active/$timer"
  [ "$active" != active ] || { echo "Failed to start transient timer unit: Unit $timer already exists." >&2; exit 1; }
  printf 'active=active sub=waiting result=success invocation= polls=0\n' >"$STUB/active/$timer"
)

# Stub of sync(1), which is noted: the names of its files, or "all"; whether a change to confirm is armed, and whether the old
# unit file is back.
stub_sync() (
  set +f
  names=
  for word; do [ "$word" = -- ] || names="$names${names:+ }${word##*/}"; done
  state=
  for kept in "${STUB%/stub}"/var/confirm/*; do
    [ -d "$kept" ] || continue
    [ ! -e "$kept/armed" ] || state=' | armed'
    ! cmp -s "$kept/file" "${STUB%/stub}/etc/${kept##*/}" || state="$state | old"
  done
  printf '%s\n' "${names:-all}$state" >>"$STUB/syncs"
)

# A copy of bash for each call takes longer than the stub as a process of the smaller shell.
if [ "$BASH_VERSION" ]; then
  stub_systemctl() { command systemctl "$@"; }
fi
