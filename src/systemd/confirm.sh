# The functions of a change that has to be confirmed (Confirm=). $L/confirm/UNIT has all that the revert needs, because it
# runs without fleet, and after a reboot:
#   file fence record removed  what is put back, as far as it existed; the record has the token of the new decision
#   links                      the links to the unit, as lines "PATH TARGET"
#   launched                   the unit ran or was meant to run, so the revert starts it
#   revert                     the script, which fleet-confirm@UNIT.service runs: by a transient timer, and at boot
#   armed                      the change to confirm, the script that armed it, and its deadline; without this file the
#                              revert script only cleans up
#   room                       space on a disk that is full by then
#   begun                      the revert has begun, and cannot be averted
#   reverted                   after it, alone: the text that was reverted, and why

# arm UNIT TOKEN HASH DIGEST MS: arms the revert of the change that follows. "armed" is put in place last, when systemd has
# the timer and everything is on the disk
arm() {
  absent systemd-run cp
  [ -z "$out" ] || { echo 'systemd-run is not there'; return 1; }
  mine=$L/confirm/$1 revert=fleet-confirm@$1
  rm -rf "$mine" && own "$L/confirm" "$mine" && keep_old "$1" "$2" && revert_text "$1" >"$mine/revert" &&
    keep_room && confirmation "$@" >"$mine/.armed" && install_revert && start_timer "$5" && mv "$mine/.armed" "$mine/armed" &&
    within 60 sync -- "$mine" && armed="$armed $1" && return
  drop_revert "$1"
  return 1
}
# confirmation UNIT TOKEN HASH DIGEST MS: the lines of "armed"; the deadline is in 1/100 s of /proc/uptime
confirmation() {
  clock
  read -r boot </proc/sys/kernel/random/boot_id
  printf '%s\n' "unit=$1" state=armed "token=$2" "by=$by" "hash=$3" "digest=$4" "window=$5" "boot=$boot" \
    "deadline=$((now + $5 / 10))"
}
# keep_room: a revert writes little, but on a full disk it could not write anything
keep_room() { printf '%65536s' '' >"$mine/room"; }
# keep_old UNIT TOKEN: copies what the change replaces to $mine
keep_old() {
  ! is_there "./$1" || cp -pP -- "./$1" "$mine/file" || return
  [ ! -f "./$1.d/zz-fleet-fenced.conf" ] || cp -p -- "./$1.d/zz-fleet-fenced.conf" "$mine/fence" || return
  if [ -f "$L/units/$1" ]; then
    amend "$L/units/$1" "token=$2" && printf '%s' "$text" >"$mine/record" || return
  else
    echo "token=$2" >"$mine/removed" || return
  fi
  links_to "$1" >"$mine/links" || return
  case "$text" in *target=launched*) [ ! -f "$mine/record" ] || { printf '' >"$mine/launched"; return; } ;; esac
  case "$(systemctl show --property=ActiveState -- "$1")" in
    '') echo 'its state is not known'; return 1 ;;
    *=inactive | *=failed) ;;
    *) printf '' >"$mine/launched" ;;
  esac
}
# links_to UNIT: its links, as lines "PATH TARGET"
links_to() {
  for link in *.wants/"$1" *.requires/"$1" *.upholds/"$1" $names; do
    [ -L "./$link" ] && [ "$link" != "$1" ] || continue
    case "$link" in */*) ;; *) is_name "$D/$link" "$1" || continue ;; esac
    printf '%s %s\n' "$link" "$(readlink "./$link")"
  done
}
# install_revert: the service that reverts, and its link for a reboot, on the disk. sysinit.target is part of every boot
install_revert() {
  umask 022
  revert_unit >".fleet-$$-confirm"
  set -- "$?"
  umask 077
  [ "$1" -eq 0 ] && mv -fT ".fleet-$$-confirm" "./$revert.service" || return
  [ -d sysinit.target.wants ] || mkdir -m 755 sysinit.target.wants || return
  ln -sfn "../$revert.service" "sysinit.target.wants/$revert.service" &&
    within 60 sync -- "$mine"/* "$mine/.armed" "$mine" "$L/confirm" "./$revert.service" . sysinit.target.wants
}
# No order relative to the unit: it may mount the folder of the script. %i is the name of the unit.
revert_unit() {
  cat <<END
[Unit]
Description=Reverts the last change of %i unless fleet confirms it
DefaultDependencies=no
After=systemd-remount-fs.service
RequiresMountsFor=$L $D
Conflicts=shutdown.target
Before=shutdown.target
StartLimitIntervalSec=0
ConditionPathExists=$L/confirm/%i/revert
[Service]
Type=oneshot
ExecStart=/bin/sh $L/confirm/%i/revert
Restart=on-failure
RestartSec=1
OOMScoreAdjust=-1000
END
}
# start_timer MS: starts the timer of the revert, and verifies that systemd has both. An earlier revert may have failed
start_timer() {
  run_timer "$1" 2>/dev/null || {
    systemctl stop -- "$revert.timer" 2>/dev/null
    systemctl reset-failed -- "$revert.service" "$revert.timer" 2>/dev/null
    systemctl daemon-reload && run_timer "$1"
  } || return
  has_revert || { systemctl daemon-reload && has_revert; } || { echo 'systemd does not know the revert'; return 1; }
}
# run_timer MS: a reload of systemd begins OnActiveSec= again, but not OnStartupSec=, which counts from the start of systemd
run_timer() {
  begun=$(systemctl show --property=UserspaceTimestampMonotonic)
  begun=${begun#*=}
  case "$begun" in '' | *[!0-9]*) echo 'systemd does not report its start'; return 1 ;; esac
  clock
  within "${S:-31}" systemd-run --quiet --unit="$revert.service" --on-active="$1ms" \
    --on-startup="$((now * 10 - begun / 1000 + $1))ms" --timer-property=AccuracySec=100ms
}
has_revert() {
  case "$(systemctl show --property=LoadState -- "$revert.service")" in *=loaded) ;; *) return 1 ;; esac
  systemctl is-active --quiet -- "$revert.timer"
}

# drop_revert UNIT: removes all that "arm" has made; without "armed" none of it has an effect
drop_revert() {
  revert=fleet-confirm@$1
  rm -f "$L/confirm/$1/armed" && touched || return
  systemctl stop -- "$revert.timer" 2>/dev/null
  rm -f "sysinit.target.wants/$revert.service" "./$revert.service" && rm -rf "$L/confirm/$1" || return
  rmdir sysinit.target.wants 2>/dev/null || :
}

# confirm UNIT TOKEN DIGEST STATE INVOCATION: disarms the revert if the unit is still in that state and run. The lock orders
# this and the beginning of the revert. 20: another decision has been carried out; 21: it was reverted, with the report; 22: the revert has
# begun; 23: the unit is in another state
confirm() {
  mine=$L/confirm/$1
  if [ ! -f "$mine/armed" ]; then
    ! is_about "$mine/reverted" "$2" || { cat -- "$mine/reverted"; return 21; }
    # The answer to an earlier confirmation was lost.
    is_about "$L/units/$1" "$2" && has "$1" "$3" || return 20
    [ ! -d "$mine" ] || drop_revert "$1"
    return
  fi
  is_about "$mine/armed" "$2" || return 20
  [ ! -f "$mine/begun" ] && ! is_overdue "$mine/armed" || return 22
  is_in "$1" "$4" "$5" || return 23
  rm -f "$mine/armed" && within 60 sync -- "$mine" && drop_revert "$1"
}
# is_about FILE TOKEN [BY]: it has that token, and was armed by that script
is_about() { [ -f "$1" ] && case "$(cat -- "$1")" in *"
token=$2
${3:+by=$3}"*) ;; *) return 1 ;; esac; }
# is_overdue FILE: its deadline is over, or the machine has rebooted, so that it is reverted
is_overdue() {
  clock
  read -r now_boot </proc/sys/kernel/random/boot_id
  boot= deadline=0
  while IFS='=' read -r key value; do
    case "$key" in boot) boot=$value ;; deadline) deadline=$value ;; esac
  done <"$1"
  [ "$boot" != "$now_boot" ] || [ "$now" -ge "$deadline" ]
}
# is_in UNIT up|finished INVOCATION
is_in() {
  shown=$(systemctl show --property=ActiveState,InvocationID -- "$1") || return
  case "$shown" in *"InvocationID=$3"*) ;; *) return 1 ;; esac
  case "$2 $shown" in
    'up '*ActiveState=active* | 'up '*ActiveState=reloading* | 'up '*ActiveState=refreshing*) ;;
    'finished '*ActiveState=inactive*) ;;
    *) return 1 ;;
  esac
}

# revert_now UNIT TOKEN BY: reverts a change that has failed, without waiting for its deadline. 20: that script has not armed
# it; the same decision may be carried out by another process; 21: it is reverted, with the report
revert_now() {
  mine=$L/confirm/$1 revert=fleet-confirm@$1
  is_about "$mine/reverted" "$2" "$3" || {
    is_about "$mine/armed" "$2" "$3" || return 20
    echo failed >"$mine/why"
    S=130
    order request start -- "$revert.service"
    unset S
    is_about "$mine/reverted" "$2" || { echo 'the revert has not ended'; return 1; }
  }
  cat -- "$mine/reverted"
  return 21
}

# revert_text UNIT: the script. It needs no other file, and can be repeated after every interruption. The new text ends with
# its own ExecStop=, without the lock, as in a change. "reverted" counts only without "armed".
revert_text() {
  printf '%s\n' "unit='$1' D='$D' L='$L' R='$R'"
  cat <<'END'
# By fleet, for Confirm=: puts back what the last change of the unit has replaced, unless it was confirmed.
export LC_ALL=C SYSTEMD_COLORS=0 PATH="$PATH:/usr/sbin:/sbin"
umask 077
mine=$L/confirm/$unit revert=fleet-confirm@$unit
lock() { { [ -d "$R" ] || mkdir -p "$R"; } && command exec 9>"$R/lock" && flock 9; }
is_there() { [ -e "$1" ] || [ -L "$1" ]; }
# up: the units of fleet that are up, one a line
up() {
  systemctl list-units --full --plain --no-legend --no-pager | while read -r name load active rest; do
    case "$active" in inactive | failed) continue ;; esac
    [ ! -f "$L/units/$name" ] || printf '%s\n' "$name"
  done
}
# is_down: it does not run, nor stop
is_down() {
  case "$(systemctl show --property=ActiveState -- "$unit")" in *=inactive | *=failed) ;; *) return 1 ;; esac
}
# stop_new: a text that does not stop must not delay the revert
stop_new() {
  timeout -k 1 3 systemctl stop -- "$unit"
  is_down || {
    systemctl kill --kill-who=all --signal=KILL -- "$unit"
    timeout -k 1 3 systemctl stop -- "$unit"
  }
}
# save FILE COMMAND...: the output of a command, as a whole
save() { out=$1; shift; { "$@" >"$mine/.draft"; } 2>/dev/null && mv -f "$mine/.draft" "$out"; }
# put FILE DRAFT PLACE: as a hard link if possible, which needs no room on a full disk
put() {
  [ ! "$1" -ef "$3" ] || return 0
  rm -f "$2" && { ln -- "$1" "$2" 2>/dev/null || cp -pP -- "$1" "$2"; } && mv -fT "$2" "$3"
}
restore_links() {
  for link in *.wants/"$unit" *.requires/"$unit" *.upholds/"$unit" *; do
    [ -L "./$link" ] && [ "$link" != "$unit" ] || continue
    case "$link" in
      */*) rm -f "./$link" && { rmdir "./${link%/*}" 2>/dev/null || :; } || return ;;
      *) case "$(readlink "./$link")" in "$unit" | */"$unit") rm -f "./$link" || return ;; esac ;;
    esac
  done
  while read -r link target; do
    case "$link" in */*) [ -d "./${link%/*}" ] || mkdir -m 755 "./${link%/*}" || return ;; esac
    ln -sfn -- "$target" "./$link" || return
  done <"$mine/links"
}
restore_files() {
  mkdir -p "$L/units" "$L/removed" "$L/tmp" || return
  [ ! -f "$mine/record" ] || { put "$mine/record" "$L/tmp/revert" "$L/units/$unit" && rm -f "$L/removed/$unit"; } || return
  restore_links || return
  if [ -f "$mine/fence" ]; then
    [ -d "./$unit.d" ] || mkdir -m 755 "./$unit.d" || return
    put "$mine/fence" "./$unit.d/.fleet-revert" "./$unit.d/zz-fleet-fenced.conf" || return
  else
    rm -f "./$unit.d/zz-fleet-fenced.conf" && { rmdir "./$unit.d" 2>/dev/null || :; }
  fi
  if is_there "$mine/file"; then put "$mine/file" ./.fleet-revert "./$unit"; else rm -f "./$unit"; fi
}
# cause: why the change is reverted
cause() {
  [ ! -s "$mine/why" ] || { cat "$mine/why"; return; }
  read -r now_boot </proc/sys/kernel/random/boot_id
  read -r now rest </proc/uptime
  now=$((${now%.*} * 100 + 1${now#*.} - 100)) boot= deadline=0
  while IFS='=' read -r key value; do
    case "$key" in boot) boot=$value ;; deadline) deadline=$value ;; esac
  done <"$mine/armed"
  # A restart of systemd alone, as by "systemctl soft-reboot", also ends the timer.
  if [ "$boot" = "$now_boot" ] && [ "$now" -ge "$((deadline - 100))" ]; then echo timeout; else echo reboot; fi
}
main() {
  cd "$D" && lock || return
  if [ -f "$mine/armed" ]; then revert || return; fi
  # The link goes after the files, so that a boot repeats this, and before the script.
  systemctl stop --no-block -- "$revert.timer" 2>/dev/null
  rm -f "$mine/.draft" "$mine/.armed"
  for file in "$mine"/*; do case "$file" in */revert | */reverted) ;; *) rm -f "$file" ;; esac; done
  rm -f "sysinit.target.wants/$revert.service"
  rmdir sysinit.target.wants 2>/dev/null
  # Without its file, systemd would apply the default timeout to this service.
  systemctl daemon-reload
  rm -f "./$revert.service" "$mine/revert"
  rmdir "$mine" 2>/dev/null || :
}
revert() {
  rm -f "$mine/room"
  # A full or broken disk must not prevent the revert.
  [ -s "$mine/begun" ] || save "$mine/begun" cause || :
  sync -- "$mine" || :
  if [ -s "$mine/begun" ]; then read -r why <"$mine/begun"; else why=$(cause); fi
  echo "Reverts the last change of $unit: $why"
  exec 9>&-
  before=$(up)
  stop_new
  lock && restore_files && systemctl daemon-reload || return
  if [ -f "$mine/launched" ]; then
    systemctl reset-failed -- "$unit" 2>/dev/null
    if systemctl is-active --quiet -- "$unit"; then verb=restart; else verb=start; fi
    systemctl "$verb" --no-block -- "$unit" || { sleep 1; systemctl "$verb" --no-block -- "$unit"; }
  else
    systemctl stop --no-block -- "$unit"
  fi
  # They were stopped with it.
  set -f
  after=" $(printf '%s ' $(up))"
  for other in $before; do
    case "$after" in *" $other "*) ;; *) [ "$other" = "$unit" ] || systemctl start --no-block -- "$other" ;; esac
  done
  set +f
  if [ -f "$mine/removed" ]; then
    systemctl reset-failed -- "$unit" 2>/dev/null
    put "$mine/removed" "$L/tmp/revert" "$L/removed/$unit" && rm -f "$L/units/$unit" || return
  fi
  # "armed" may go only after everything that was put back is on the disk. A repetition would restart the unit.
  until sync && save "$mine/reverted" report; do sleep 1; done
  rm -f "$mine/armed" && sync -- "$mine"
}
# report: the text of "reverted"
report() {
  while IFS='=' read -r key value; do
    case "$key" in
      state) echo state=reverted ;;
      boot | deadline) ;;
      *) printf '%s\n' "$key=$value" ;;
    esac
  done <"$mine/armed"
  printf '%s\n' "why=$why" "at=$(date +%s)"
}
main
END
}
