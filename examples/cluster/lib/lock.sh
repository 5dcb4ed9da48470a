# Only one command at a time changes a cluster. The lock is on the folder, and is released when its holder ends. Processes
# of a killed holder, except machines, are in the cgroup `script`, and the next holder ends them.

take_lock() {
  lock_folder
  kill_cgroup "$(cgroup_of script)"
  join_cgroup "$(cgroup_of script)"
}

# Descriptor 9 is the lock. Processes that outlive this script are started with 9>&-.
lock_folder() {
  exec 9<"$DIR"
  if ! flock --nonblock 9; then
    say "waiting for another \"cluster\" command"
    flock --timeout 300 9 || fail "another \"cluster\" command has been running for 5 minutes"
  fi
  [ "$DIR" -ef /proc/$$/fd/9 ] || fail "the cluster in $DIR was removed by another command"
}
