# Removes the cluster: processes, mounts, packet rules, cgroups, folder. It needs no files of the script, so that it also
# works after the script was killed half-way or the folder was deleted by hand.

down() {
  local name
  ! is_cluster || lock_folder
  kill_cgroup "$(cluster_cgroup)"
  for name in $(machine_names); do forget_nspawn "$name"; done
  unmount_disks
  remove_nft_table
  remove_cgroup "$(cluster_cgroup)"
  remove_folder
  say "the cluster in $DIR was removed"
}

unmount_disks() {
  local target
  while read -r target; do
    umount "$target" 2>/dev/null || umount --lazy "$target"
  done < <(awk -v source="fleet-cluster-$ID" '$1 == source { print $2 }' /proc/mounts)
}

# The settings are removed last, because they mark the folder as a cluster's that may be removed.
remove_folder() {
  [ -d "$DIR" ] || return 0
  if is_ours; then
    find "$DIR" -mindepth 1 -maxdepth 1 ! -name settings -exec rm -rf --one-file-system {} +
    rm -f "$DIR/settings"
    rmdir "$DIR"
  else
    say "$DIR is not the folder of a cluster and was not removed"
  fi
}
