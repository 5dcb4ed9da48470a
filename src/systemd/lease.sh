# What the lease of a machine is made of, beside the words of machine.sh: $R/lease holds the boot id and the deadline, in
# hundredths of a second of /proc/uptime. fleet-lease.service is there until then, and fenced units with it. All of it
# is in /run: nothing survives a reboot. Set before it: T folder of unit files that do not survive one

# extend BOOT DEADLINE: a renewal that was on its way for too long, or comes from before a reboot, extends nothing; and
# none takes away what another one has given. There is no lease before systemd knows its service: until then, nothing
# but the absence of $R/lease keeps fenced units from being started
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

# A guard that was killed is there again at once, and whatever goes wrong with it, it tries again. It is never stopped
# by anything but its own word, that of a person, or the shutdown.
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

# The guard sleeps until the deadline, in pieces, for sleep(1) does not count while the machine is suspended. Then it has
# systemd stop the service: a job takes along what is PartOf= it, which its own end would not. Another job may
# displace that one, so it asks again until it is gone.
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
