# The disk of a machine. /usr of the box is mounted read-only; everything else is a small root folder that is created once
# and copied to a tmpfs, which is fast, can be filled without an effect on the box, and is removed by umount.

# The unit files of the box's packages that a machine has. The others need hardware, seats or a network, or are services of the
# box. systemd reads them again at every daemon-reload, which takes half the time with these alone.
UNITS='basic.target sysinit.target multi-user.target graphical.target sockets.target paths.target timers.target slices.target
  swap.target local-fs.target local-fs-pre.target remote-fs.target remote-fs-pre.target network.target network-pre.target
  network-online.target nss-lookup.target nss-user-lookup.target time-set.target time-sync.target rpcbind.target
  shutdown.target umount.target final.target reboot.target poweroff.target halt.target exit.target ctrl-alt-del.target
  systemd-reboot.service systemd-poweroff.service systemd-halt.service systemd-exit.service
  systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket
  systemd-tmpfiles-setup.service systemd-tmpfiles-clean.service
  dbus.service dbus.socket fstrim.service'

# Those that start at boot, and what starts them.
AT_BOOT='sysinit.target.wants/systemd-journald.service sysinit.target.wants/systemd-tmpfiles-setup.service
  sockets.target.wants/systemd-journald.socket sockets.target.wants/systemd-journald-dev-log.socket sockets.target.wants/dbus.socket'

# Makes the folder that is /usr/lib/systemd/system in every machine.
unit_folder() {
  local folder=$DIR/units unit files=()
  [ -e "$folder" ] && return 0
  rm -rf "$folder.new"
  mkdir -p "$folder.new/sysinit.target.wants" "$folder.new/sockets.target.wants"
  for unit in $UNITS; do [ ! -e "/usr/lib/systemd/system/$unit" ] || files+=("/usr/lib/systemd/system/$unit"); done
  cp -a "${files[@]}" "$folder.new/"
  for unit in $AT_BOOT; do ln -s "../${unit##*/}" "$folder.new/$unit"; done
  mv "$folder.new" "$folder"
}

golden_root() {
  local root=$DIR/golden
  [ -e "$root" ] && return 0
  rm -rf "$root.new"
  golden_folders "$root.new"
  golden_etc "$root.new/etc"
  golden_users "$root.new"
  golden_units "$root.new/etc/systemd/system"
  [ "$CONTAINERS" = no ] || golden_containers "$root.new/etc"
  mv "$root.new" "$root"
}

golden_folders() {
  local link
  mkdir -p "$1"/{usr/lib,etc/ssh,dev,proc,sys,run,mnt,opt,srv,home} "$1"/var/{lib,log,cache,spool}
  mkdir -p "$1/etc/systemd/system" "$1/etc/systemd/journald.conf.d"
  install -d -m 1777 "$1/tmp" "$1/var/tmp"
  ln -s ../run "$1/var/run"
  for link in bin sbin lib lib32 lib64 libx32; do
    [ ! -L "/$link" ] || ln -s "usr/$link" "$1/$link"
  done
  cp /etc/os-release "$1/usr/lib/os-release"
}

golden_etc() {
  local file files=()
  for file in ld.so.cache ld.so.conf ld.so.conf.d alternatives dbus-1 profile bash.bashrc inputrc login.defs services protocols ssl/certs; do
    [ ! -e "/etc/$file" ] || files+=("./$file")
  done
  (cd /etc && cp -a --parents "${files[@]}" "$1")
  ln -s ../usr/lib/os-release "$1/os-release"
  ln -s /usr/share/zoneinfo/UTC "$1/localtime"
  ln -s /proc/self/mounts "$1/mtab"
  printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n' >"$1/nsswitch.conf"
  printf 'LANG=C.UTF-8\n' >"$1/locale.conf"
  printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n' >"$1/systemd/journald.conf.d/cluster.conf"
  { echo '127.0.0.1 localhost' && every_address; } >"$1/hosts"
  sshd_config >"$1/ssh/sshd_config"
}

every_address() {
  local n
  for ((n = 1; n <= MOST; n++)); do printf '%s %s\n' "$SUBNET.$n" "$PREFIX$n"; done
}

# UsePAM no, because a login is then as fast as the SSH handshake, and users with a locked password can log in by key.
sshd_config() {
  cat <<'EOT'
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
MaxStartups 100:30:200
Subsystem sftp internal-sftp
EOT
}

# Users: root, core (with sudo) and plain (without). The cluster's key is authorized for all three. System users are copied
# from the box.
golden_users() {
  local etc=$1/etc user
  { echo 'root:x:0:0:root:/root:/bin/bash' && awk -F: '$1 != "root" && ($3 < 1000 || $3 == 65534)' /etc/passwd
    echo 'core:x:1000:1000::/home/core:/bin/bash' && echo 'plain:x:1001:1001::/home/plain:/bin/bash'; } >"$etc/passwd"
  { awk -F: -v OFS=: '($3 < 1000 || $3 == 65534) { print $1, $2, $3, "" }' /etc/group
    echo 'core:x:1000:' && echo 'plain:x:1001:'; } >"$etc/group"
  awk -F: '{ print $1 ":*:19000:0:99999:7:::" }' "$etc/passwd" >"$etc/shadow"
  awk -F: '{ print $1 ":*::" }' "$etc/group" >"$etc/gshadow"
  chmod 640 "$etc/shadow" "$etc/gshadow"
  printf 'Defaults !lecture\nroot ALL=(ALL:ALL) NOPASSWD: ALL\ncore ALL=(ALL:ALL) NOPASSWD: ALL\n' >"$etc/sudoers"
  chmod 440 "$etc/sudoers"
  golden_pam "$etc/pam.d"
  install -d -m 700 "$1/root" "$1/root/.ssh" && cp "$KEY.pub" "$1/root/.ssh/authorized_keys"
  for user in core plain; do
    install -d -m 700 "$1/home/$user" "$1/home/$user/.ssh" && cp "$KEY.pub" "$1/home/$user/.ssh/authorized_keys"
  done
  chown -R 1000:1000 "$1/home/core" && chown -R 1001:1001 "$1/home/plain"
}

# Root can become any user, and sudoers decides about sudo. There are no passwords.
golden_pam() {
  local service
  mkdir -p "$1"
  for service in su su-l runuser runuser-l sudo sudo-i other; do
    printf 'auth sufficient pam_rootok.so\nauth required pam_deny.so\naccount required pam_permit.so\nsession required pam_permit.so\n' \
      >"$1/$service"
  done
}

golden_units() {
  local system=$1 generators=${1%/system}/system-generators generator
  ln -s /usr/lib/systemd/system/multi-user.target "$system/default.target"
  mkdir -p "$generators" "$system/multi-user.target.wants" "${system%/systemd/system}/tmpfiles.d"
  # An empty file masks a generator.
  for generator in /usr/lib/systemd/system-generators/*; do : >"$generators/${generator##*/}"; done
  # It would create /run/nologin, and the unit that removes that file does not start.
  ln -s /dev/null "${system%/systemd/system}/tmpfiles.d/systemd-nologin.conf"
  sshd_unit >"$system/sshd.service"
  ln -s ../sshd.service "$system/multi-user.target.wants/sshd.service"
}

sshd_unit() {
  cat <<EOT
[Unit]
Description=SSH server of this machine

[Service]
ExecStart=/usr/sbin/sshd -D -e ${FLEET_CLUSTER_SSHD:-}
ExecReload=/bin/kill -HUP \$MAINPID
KillMode=process
Restart=on-failure
RestartSec=1
RuntimeDirectory=sshd
RuntimeDirectoryMode=0755

[Install]
WantedBy=multi-user.target
EOT
}

# Creates the disk of a machine. The machine id is written last: a disk without it is incomplete, and is created again.
make_disk() {
  local name=$1 home=$DIR/machines/$1
  local disk=$home/disk
  mkdir -p "$disk"
  mountpoint -q "$disk" || mount -t tmpfs -o "size=$DISK,mode=755" "fleet-cluster-$ID" "$disk"
  [ ! -e "$disk/etc/machine-id" ] || return 0
  find "$disk" -mindepth 1 -delete
  cp -a "$DIR/golden/." "$disk/"
  # The host key is kept outside the disk, so that a machine with a new disk still matches known_hosts.
  make_key "$home/ssh_host_ed25519_key" "root@$name"
  cp -p "$home/ssh_host_ed25519_key" "$home/ssh_host_ed25519_key.pub" "$disk/etc/ssh/"
  printf 'ListenAddress %s:%s\n' "$(address_of "$name")" "$PORT" >>"$disk/etc/ssh/sshd_config"
  printf '%s\n' "$name" >"$disk/etc/hostname"
  machine_id_of "$name" | write_file "$disk/etc/machine-id"
}

make_key() { # file, comment
  [ ! -e "$1.pub" ] || return 0
  rm -f "$1" "$1.new" "$1.new.pub"
  ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$1.new"
  mv "$1.new" "$1"
  mv "$1.new.pub" "$1.pub"
}

# Shrinks the tmpfs to the size of its content.
fill_machine() {
  local disk=$DIR/machines/$1/disk try used
  for try in 1 2 3 4 5; do
    used=$(df --block-size=1 --output=used "$disk" | tail -n 1)
    ! mount -o "remount,size=$((used))" "$disk" 2>/dev/null || break
    [ "$try" -lt 5 ] || fail "could not fill the disk of $1: it changes too fast"
  done
  say "the disk of $1 is full"
}

unfill_machine() {
  mount -o "remount,size=$DISK" "$DIR/machines/$1/disk"
  say "the disk of $1 has free space again"
}
