# A register: what this machine stores as a voter, in $L/registry. It is a file with a line each for the format, the state, the
# file itself, the promised ballot, the accepted ballot, the value, and the SHA-256 of these. A ballot is two numbers.

# name_register NAME: sets $B to the folder of registers, $N to the file of this one and $C to the folder of its contents
name_register() { B=$L/registry N=$L/registry/$1.register C=$L/registry/$1.contents; }
# lock_register NAME: until the script ends
lock_register() {
  written=
  name_register "$1"
  [ -d "$C" ] || (umask 077 && mkdir -p "$C") || return
  [ -O "$B" ] || { echo "$B belongs to another user" >&2; return 1; }
  [ -e "$B/lock" ] || (umask 077 && : >>"$B/lock") || return
  exec 7>>"$B/lock" && flock -w 5 7 || { echo "another process holds $B/lock" >&2; return 1; }
}
# read_register: sets its variables. 4: nothing is stored · 5: it is damaged · 6: it is whole, but the file is a copy
read_register() {
  state= promised='0 0' accepted='0 0' value=
  [ -e "$N" ] || return 4
  # Only a small regular file was written by fleet; to read another one may take forever.
  [ -f "$N" ] && about=$(stat -c '%s %i %W' "$N") && [ "${about%% *}" -le 262144 ] || return 5
  # The last write may have been interrupted before it was durable.
  [ ! -e "$N.unsynced" ] || { sync "$B" && rm -f "$N.unsynced"; } || return 1
  {
    read -r format && read -r stored && read -r file && read -r promise && read -r proposal &&
      IFS= read -r text && read -r sum
  } <"$N" && [ "$format" = 'fleet-register 1' ] &&
    [ "$sum" = "$(register_text "$stored" "$file" "$promise" "$proposal" "$text" | sha256sum)" ] || return 5
  state=$stored promised=$promise accepted=$proposal value=$text
  [ "$file" = "${about#* }" ] || return 6
}
register_text() { printf 'fleet-register 1\n%s\n%s\n%s\n%s\n%s\n' "$@"; }
new_text() { register_text "$state" "$file" "$promised" "$accepted" "$value"; }
# write_register [FILE]...: it is durable afterwards, with all contents, and every reader finds the old one or the new one. Then these files
# are removed. A copy of the register, as a backup makes it, has another inode number or time of birth.
write_register() {
  { [ ! -e "$N.new" ] || rm -rf "$N.new"; } && file=$(umask 077 && : >"$N.new" && stat -c '%i %W' "$N.new") || return 1
  { new_text && new_text | sha256sum; } 2>/dev/null >"$N.new" || { new_text | failed_write "$N.new"; return; }
  sync "$C" "$N.new" && true >"$N.unsynced" && mv -f "$N.new" "$N" && sync "$B" && rm -f "$N.unsynced" "$@" && written=1
}
# failed_write FILE: fails, after an attempt to store its input whose error names the cause. A shell reports a full disk as an "I/O error"
failed_write() { cat >"$1" && echo "cannot write $1" >&2; return 1; }
# higher BALLOT BALLOT: the first one is higher
higher() {
  set -- $1 $2
  [ "$1" -gt "$3" ] || { [ "$1" -eq "$3" ] && [ "$2" -gt "$4" ]; }
}
# create_register UNLESS: with a random state, unless there is one that is whole, and not UNLESS
create_register() {
  read_register
  case $? in
  0) [ "$state" = "$1" ] || return 0 ;;
  [456]) ;;
  *) return 1 ;;
  esac
  promised='0 0' accepted='0 0' value=
  set_aside && read -r id </proc/sys/kernel/random/uuid && state=$(printf %s "$id" | tr -d -) && write_register
}
# set_aside: keeps a copy of the register and its contents, because a later state may not have them. What is in its place leaves it only
# by the next write, except a folder, which cannot be replaced.
set_aside() {
  [ -e "$N" ] || return 0
  rm -rf "$N.replaced" "$C.replaced" && cp -a "$C" "$C.replaced" || return
  if [ -d "$N" ]; then mv -f "$N" "$N.replaced"; else cp -a "$N" "$N.replaced"; fi
}
# prepare STATE BALLOT
prepare() {
  read_register || { [ $? -ne 1 ]; return; }
  [ "$state" = "$1" ] && higher "$2" "$promised" || return 0
  promised=$2
  write_register
}
# reserve PROPOSER: promises the next round to a proposer that has not read the register yet
reserve() {
  read_register || { [ $? -ne 1 ]; return; }
  promised="$((${promised% *} + 1)) $1"
  write_register
}
# accept STATE BALLOT VALUE HASH...: the value, if its contents are there. It promises the next ballot of the same proposer, too.
accept() {
  read_register || { [ $? -ne 1 ]; return; }
  [ "$state" = "$1" ] && ! higher "$promised" "$2" || return 0
  store_value "$@"
}
# found STATE ACCEPTED NEW-STATE BALLOT VALUE HASH...: the same under a new state, in place of the register with this state and this
# accepted ballot
found() {
  read_register
  case $? in 0 | [456]) ;; *) return 1 ;; esac
  [ "$state $accepted" = "$1 $2" ] || return 0
  shift 2
  # An empty one may be in place of a damaged one, which was set aside.
  [ "$accepted" = '0 0' ] || set_aside || return
  state=$1
  store_value "$@"
}
# store_value STATE BALLOT VALUE HASH...
store_value() {
  promised="$((${2% *} + 1)) ${2#* }" accepted=$2 value=$3
  shift 3
  for hash; do [ -f "$C/$hash" ] || return 0; done
  named=" $* "
  set --
  for file in "$C"/*; do
    case "$named" in *" ${file##*/} "*) continue ;; esac
    [ ! -f "$file" ] || set -- "$@" "$file"
  done
  write_register "$@"
}
# store HASH TEXT: contents, TEXT for printf %b
store() {
  [ ! -f "$C/$1" ] || return 0
  sum=$({ umask 077 && printf %b "$2" >"$C/$1.new" && sha256sum <"$C/$1.new"; } 2>/dev/null) ||
    { printf %b "$2" | failed_write "$C/$1.new"; return; }
  [ "${sum%% *}" = "$1" ] && sync "$C/$1.new" && mv -f "$C/$1.new" "$C/$1"
}
# wait_register BALLOT SECONDS: until another ballot than this one is accepted. It needs no lock, and no CPU time where tail uses inotify(7)
wait_register() {
  { timeout "$2" tail -n 1 -F -- "$N" 2>/dev/null & echo $!; wait; } | {
    read -r follower
    # Each line that tail prints is a reason to look again. The first one is there when it has begun to follow the file.
    while [ -f "$N" ] && { read -r format && read -r stored && read -r file && read -r promise && read -r proposal; } <"$N" &&
      [ "$proposal" = "$1" ] && read -r line; do :; done
    kill "$follower" 2>/dev/null || :
  }
}
# registered: what is stored, the cluster that owns the machine, and the hashes of the contents. What was just written is known.
registered() {
  [ "$written" ] || read_register
  status=$?
  owner=
  [ ! -s "$L/cluster" ] || read -r owner <"$L/cluster"
  printf '%s\n' "$state" "$promised" "$accepted" "$value" "$owner"
  for file in "$C"/*; do [ ! -f "$file" ] || printf '%s ' "${file##*/}"; done
  return $status
}
# texts HASH...: all contents but these
texts() {
  for file in "$C"/*; do
    case " $* " in *" ${file##*/} "*) continue ;; esac
    [ ! -f "$file" ] || section text from cat "$file"
  done
}
