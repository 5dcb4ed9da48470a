# The functions of a lease. $R/lease has the boot id and the deadline, in 1/100 s of /proc/uptime. Until then,
# fleet-lease.service runs, and fenced units with it. Everything is in /run, so that a reboot ends the lease. Set before it:
# T folder of unit files until the next boot

# extend BOOT DEADLINE: ignores a deadline that has passed or is from before a reboot, and never shortens a lease. A lease
# begins after systemd knows its service; until then, only the missing $R/lease prevents starts of fenced units
extend() {
  read -r boot </proc/sys/kernel/random/boot_id && [ "$boot" = "$1" ] || { echo 'the machine has rebooted'; return 10; }
  clock
  [ "$now" -lt "$2" ] || { echo 'it came too late'; return 11; }
  read_lease
  if [ ! -s "$R/lease" ] || [ ! -f "$T/fleet-lease.service" ]; then
    own "$R" || return
    [ -d "$T" ] || mkdir -p -m 755 "$T" || return
    guard_text >"$R/lease-guard" && lease_unit >"$R/.unit-$$" && chmod 644 "$R/.unit-$$" && mv -f "$R/.unit-$$" "$T/fleet-lease.service" &&
      systemctl daemon-reload || return
  fi
  if [ "$deadline" -lt "$2" ]; then
    printf '%s %s\n' "$1" "$2" >"$R/.lease-$$" && mv -f "$R/.lease-$$" "$R/lease" || return
  fi
  ! systemctl is-active --quiet fleet-lease.service || return 0
  systemctl start fleet-lease.service 2>/dev/null || { systemctl daemon-reload && systemctl start fleet-lease.service; }
}

# A killed guard restarts at once, and every failure is retried. Only the guard itself, an administrator or a shutdown stops
# the service.
lease_unit() {
  cat <<END
[Unit]
Description=Lease of fleet for fenced units
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sh $R/lease-guard
Restart=always
RestartSec=0
OOMScoreAdjust=-1000
Nice=-10
TimeoutStopSec=1s
END
}

# The guard sleeps until the deadline in short steps, because sleep(1) does not count while the machine is suspended. Then it
# stops the service with a job, because only a job stops units that are PartOf= it. Another job may replace the stop, so it is
# repeated until the service ends.
guard_text() {
  cat <<END
lease=$R/lease
END
  cat <<'END'
read -r boot </proc/sys/kernel/random/boot_id
said=
while :; do
  id='' deadline=0
  read -r id deadline <"$lease"
  [ "$id" = "$boot" ] || deadline=0
  read -r up rest </proc/uptime
  left=$((deadline - ${up%.*} * 100 - 1${up#*.} + 100))
  if [ "$left" -le 0 ]; then
    [ "$said" ] || echo 'No controller has renewed the lease of this machine in time: its fenced units stop'
    said=yes
    systemctl stop --no-block fleet-lease.service
    sleep 0.2 || sleep 1
  elif [ "$left" -ge 100 ]; then
    said=
    sleep 1
  else
    sleep "0.$((left / 10))$((left % 10))" || sleep 1
  fi
done
END
}
