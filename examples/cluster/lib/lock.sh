# One command at a time changes a cluster. The lock is the folder itself, and falls when its holder dies. What a holder that was
# killed left running (a disk half made, say; not machines) sits in the cgroup `script`, and ends when the next one takes over.

take_lock() {
  lock_folder
  kill_cgroup "$(cgroup_of script)"
  join_cgroup "$(cgroup_of script)"
}

# Descriptor 9 is the lock: whatever outlives this script is started with 9>&-.
lock_folder() {
  exec 9<"$DIR"
  if ! flock --nonblock 9; then
    say "waiting for another \"cluster\" command"
    flock --timeout 300 9 || fail "another \"cluster\" command has been at work for 5 minutes"
  fi
  [ "$DIR" -ef /proc/$$/fd/9 ] || fail "the cluster in $DIR was taken down meanwhile"
}
