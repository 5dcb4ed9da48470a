# healthy UNIT SPAN LIMIT COMMAND: it stays in one run for SPAN, and COMMAND succeeds within LIMIT, both in 1/100 s. 20 if the
# command does not, with the output of its last run, and 21 if the unit is in another run or not active.
healthy() {
  unit=$1 span=$2 limit=$3 command=$4
  clock
  steady_at=$((now + span)) give_up_at=$((now + limit)) run=$(run_of "$unit")
  [ -z "$command" ] || probe || return
  clock
  [ "$now" -ge "$steady_at" ] || within 3700 sleep "$(((steady_at - now + 99) / 100))"
  [ "$(run_of "$unit")" = "$run" ] || return 21
}
run_of() { systemctl show --property=InvocationID,NRestarts,ActiveState -- "$1"; }
# probe: repeats $command as a transient unit with the user and group of $unit
probe() {
  as=$(systemctl show --property=User,Group -- "$unit" | while IFS= read -r line; do
    case "$line" in User=?* | Group=?*) printf ' --property=%s' "$line" ;; esac
  done)
  while :; do
    clock
    [ "$now" -lt "$give_up_at" ] || { printf '%s\n' "$said"; return 20; }
    left=$(((give_up_at - now + 99) / 100))
    # shellcheck disable=SC2086
    said=$(within $((left + 10)) systemd-run --quiet --wait --collect --pipe --service-type=exec $as \
      --property=RuntimeMaxSec="$left" --description="HealthExec= of $unit" /bin/sh -c "$command" 2>&1) && return
    sleep 0.5 2>/dev/null || sleep 1
  done
}
