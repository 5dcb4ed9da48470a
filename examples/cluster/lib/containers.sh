# `docker` inside the machines, without Docker and without the internet: podman runs the containers, and a registry on
# loopback has the image `busybox`, which is made from the busybox of the box.

NEEDED_FOR_CONTAINERS='
/usr/bin/podman              podman
/usr/bin/docker              podman-docker
/usr/bin/docker-registry     docker-registry
/bin/busybox                 busybox-static
'

containers() {
  local name
  require_cluster
  if [ -e /usr/bin/docker ] && ! grep -qs podman /usr/bin/docker; then
    cannot "Docker is installed on this box, but \"containers\" needs podman-docker instead"
  fi
  require_packages "$NEEDED_FOR_CONTAINERS"
  take_lock
  settings
  CONTAINERS=yes
  save_settings
  rm -rf "$DIR/golden"
  golden_root
  start_registry
  push_busybox
  for name in $(machine_names); do give_containers "$name"; done
  say "docker works in every machine; the registry at $(registry_address) has one image: busybox"
}

registry_address() { printf %s "$SUBNET.200:5000"; }

# Files in /etc for podman and for units with Requires=docker.service.
golden_containers() {
  local etc=$1
  mkdir -p "$etc/containers"
  touch "$etc/containers/nodocker"
  cat >"$etc/containers/containers.conf" <<'EOT'
[containers]
netns = "host"
cgroups = "disabled"
keyring = false
log_driver = "k8s-file"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
EOT
  cat >"$etc/containers/storage.conf" <<'EOT'
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
EOT
  cat >"$etc/containers/registries.conf" <<EOT
unqualified-search-registries = ["$(registry_address)"]
short-name-mode = "permissive"

[[registry]]
location = "$(registry_address)"
insecure = true

[[registry]]
prefix = "docker.io"
location = "$(registry_address)"
insecure = true
EOT
  printf '{ "default": [{ "type": "insecureAcceptAnything" }] }\n' >"$etc/containers/policy.json"
  cat >"$etc/systemd/system/docker.service" <<'EOT'
[Unit]
Description=Containers (podman needs no daemon; this is for units that require one)

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true

[Install]
WantedBy=multi-user.target
EOT
}

# Adds the files to a machine that was created earlier.
give_containers() {
  local file disk=$DIR/machines/$1/disk
  for file in containers alternatives ld.so.cache systemd/system/docker.service; do
    cp -a --no-target-directory "$DIR/golden/etc/$file" "$disk/etc/$file"
  done
  if ! is_running "$1" || is_hung "$1"; then return; fi
  nsenter --target "$(leader_of "$1")" --mount --pid -- systemctl daemon-reload
}

# The registry is a part of the cluster: `down` ends its cgroup, and `up` starts it again.
start_registry() {
  local home=$DIR/images
  ! is_populated "$(cgroup_of images)" || return 0
  mkdir -p "$home"
  cat >"$home/config.yml" <<EOT
version: 0.1
log: { level: warn }
storage: { filesystem: { rootdirectory: $home/store } }
http: { addr: "$(registry_address)" }
EOT
  (
    join_cgroup "$(cgroup_of images)"
    exec setsid --fork docker-registry serve "$home/config.yml"
  ) </dev/null >>"$home/log" 2>&1 9>&-
  until_true 200 registry_answers || fail "the registry did not start: $(tail -n 3 "$home/log")"
}

registry_answers() { { true 3<>"/dev/tcp/${SUBNET}.200/5000"; } 2>/dev/null; }

push_busybox() {
  local root=$DIR/images/root name
  [ ! -e "$DIR/images/pushed" ] || return 0
  rm -rf "$root"
  mkdir -p "$root"/{bin,tmp,etc,proc,sys,dev}
  cp /bin/busybox "$root/bin/"
  for name in $(/bin/busybox --list); do [ -e "$root/bin/$name" ] || ln -s busybox "$root/bin/$name"; done
  export -f box_podman
  unshare --mount bash -c 'box_podman "$@"' - "$root" "$DIR/golden/etc/containers" "$(registry_address)" \
    >"$DIR/images/push.log" 2>&1 9>&- || fail "could not build the image: $(tail -n 3 "$DIR/images/push.log")"
  rm -rf "$root"
  touch "$DIR/images/pushed"
}

# Runs podman on the box, in a separate mount namespace, so that it leaves the containers of the box unchanged.
box_podman() {
  set -eu
  mount --bind "$2" /etc/containers
  mount -t tmpfs tmpfs /var/lib
  mount -t tmpfs tmpfs /run
  tar -C "$1" -c . | podman import --change 'CMD ["sh"]' - busybox
  podman push --tls-verify=false busybox "$3/busybox"
  podman push --tls-verify=false busybox "$3/library/busybox"
}
