# The functions of a change. Only one fleet process at a time is between lock and unlock.

# prepare: creates the folders of fleet; 12 if a required tool is missing
prepare() {
  absent flock sha256sum timeout
  [ -z "$out" ] || { echo $out; return 12; }
  own "$L" "$L/units" "$L/removed" "$L/tmp" "$R" && cd "$D" || return
  can_change "$D" || return
  [ ! -d fleet.target ] || { echo "$D/fleet.target is a directory"; return 1; }
  for folder in fleet.target.wants multi-user.target.wants; do
    ! is_there "$folder" || [ -d "$folder" ] || { echo "$D/$folder is no directory"; return 1; }
  done
  names= pulls=
  for file in *; do
    case "$file" in
      *.wants | *.requires | *.upholds) pulls="$pulls $file" ;;
      *) [ ! -L "$file" ] || names="$names $file" ;;
    esac
  done
}
# own FOLDER...: creates the folders, accessible to root only. Earlier versions let other users open and lock the files
# in them. The content of a folder that others could write to is refused
own() {
  umask 077
  lacks=
  for folder; do
    [ -d "$folder" ] || { ! is_there "$folder" || { echo "$folder is no directory"; return 1; }; lacks=yes; continue; }
    [ -O "$folder" ] || { echo "$folder belongs to another user"; return 1; }
    can_change "$folder" || return
  done
  [ -z "$lacks" ] || mkdir -p "$@" || return
  for mode in $(stat -Lc %a -- "$@"); do
    case "$mode" in *700 | *711) ;; *) narrow "$@"; return ;; esac
  done
}
# can_change FOLDER: its content can be changed, or the reason. Permissions prove nothing for root, and busybox has -w for everything, as
# for a file that no user can write
can_change() {
  [ ! -w "$1" ] || [ -w /proc/sys/kernel/random/boot_id ] || return 0
  said=$(touch -- "$1" 2>&1) || { refuse "$1" "$said"; return 1; }
}
# refuse PATH MESSAGE: the reason at the end of the message of a tool, and what it is about
refuse() { printf '%s: %s\n' "$1" "${2##*: }"; }
# narrow FOLDER...: others lose their write permission before the content is checked
narrow() {
  chmod go-w -- "$@" || return
  for folder; do set -- "$@" "$folder"/* "$folder"/.[!.]*; done
  for file; do
    shift
    is_there "$file" && [ "$file" != "$L/registry" ] || continue
    [ -O "$file" ] && { [ -d "$file" ] || [ -f "$file" ]; } || { echo "$file is not a file of root"; return 1; }
    case "$file" in "$L" | "$R") ;; *) [ ! -L "$file" ] || { echo "$file is a symbolic link"; return 1; } ;; esac
    set -- "$@" "$file"
  done
  each close_to_others "$@" || return
  for folder; do [ ! -d "$folder" ] || close_to_others "$folder" || [ ! -d "$folder" ] || return; done
  # It may contain the registry of another user.
  [ ! -d "$L/registry" ] || chmod 711 "$L"
}
close_to_others() { chmod go= "$@"; }

# lock: 11 if it takes too long, with the process that holds the lock
lock() {
  is_lockable "$R/lock" && command exec 9>"$R/lock" || return
  flock -w "${wait:-$W}" 9 || { holder "$R/lock"; return 11; }
  find_folders
}
# is_lockable FILE: to open a pipe in the place of a lock would take forever
is_lockable() { [ ! -e "$1" ] || [ -f "$1" ] || { echo "$1 is no file"; return 1; }; }
# holder FILE: process, user and command of the holder of its lock; needs Linux 4.1
holder() {
  for fd in /proc/[0-9]*/fd/*; do
    [ "$fd" -ef "$1" ] || continue
    pid=${fd#/proc/} pid=${pid%%/*}
    case "$(cat "/proc/$pid/fdinfo/${fd##*/}" 2>/dev/null)" in *lock:*) ;; *) continue ;; esac
    printf '%s %s %s\n' "$pid" "$(stat -c %U "/proc/$pid")" "$(cat "/proc/$pid/comm")"
    return
  done
}
unlock() { exec 9>&-; }

# sweep: removes the files of scripts that were killed. A script holds "busy" while it waits for a stop without the lock.
sweep() {
  is_lockable "$R/busy" && command exec 8>"$R/busy" || return
  for file in .fleet-* "$L/tmp/"*; do
    [ -e "$file" ] || continue
    ! flock -n 8 || rm -rf .fleet-* "$L/tmp/"*
    command exec 8>"$R/busy" || return
    break
  done
  # Of a change to confirm: the link is made after the service, and removed before it.
  for file in fleet-confirm@*.service; do
    [ ! -f "$file" ] || [ -L "sysinit.target.wants/$file" ] || rm -f "./$file"
  done
}
# mark: the files of this script stay while it waits without the lock
mark() { flock -s -w "${wait:-$W}" 8 || { holder "$R/busy"; return 11; }; }

# cluster ID [NAME ADDRESS]...: the machine belongs to that cluster; one without a cluster is claimed. It keeps where the voters
# of the registry are
cluster() {
  sweep || return
  [ ! -e "$L/reload" ] || changed=yes
  if [ -s "$L/cluster" ]; then
    read -r owner <"$L/cluster"
    [ "$owner" = "$1" ] || { echo "$owner"; return 10; }
  else
    printf '%s\n' "$1" >"$L/tmp/cluster" && mv -f "$L/tmp/cluster" "$L/cluster" || return
  fi
  shift
  kept=
  [ ! -f "$L/voters" ] || read -r kept <"$L/voters"
  # Only "fleetctl join" needs it, so an error does not matter.
  [ $# -eq 0 ] || [ "$kept" = "$*" ] || { printf '%s\n' "$*" >"$L/tmp/voters" && mv -f "$L/tmp/voters" "$L/voters"; } || :
}

# adopt UNIT TOKEN DIGEST TEMPLATE RECORD: replaces a damaged record; a missing one only if the unit file has that digest. An
# instance that runs from its template gets a copy of it. 10 as in "seen"
adopt() {
  seen "$1" "$2" && has_place "$1" || return
  case "$(cat "$L/units/$1" 2>/dev/null)" in
    "unit=$1
"*target=launched* | "unit=$1
"*target=loaded* | "unit=$1
"*target=inactive*) return ;;
  esac
  [ -f "$L/units/$1" ] || copy_template "$1" "$4" "$3" || return
  [ -f "$L/units/$1" ] || has "$1" "$3" || { echo 'its record is missing, and its file has changed meanwhile'; return 1; }
  save "$L/tmp/$$-adopt" "$5" && mv -f "$L/tmp/$$-adopt" "$L/units/$1"
}

# copy_template UNIT TEMPLATE DIGEST: unless the unit has a regular file, or the template another digest
copy_template() {
  [ "$2" ] && { [ ! -f "./$1" ] || [ -L "./$1" ]; } && has "$2" "$3" || return 0
  touched && cp -p -- "./$2" ".fleet-$$-adopt" && within 60 sync -- ".fleet-$$-adopt" && mv -fT ".fleet-$$-adopt" "./$1"
}

# seen UNIT TOKEN: 10 if the machine has seen a newer token. The one in "removed" counts without a record
seen() {
  known=$L/units/$1 seen=0
  [ -f "$known" ] || known=$L/removed/$1
  if [ -f "$known" ]; then
    while IFS='=' read -r key value; do [ "$key" != token ] || seen=$value; done <"$known"
  fi
  case "$seen" in '' | *[!0-9]*) seen=0 ;; esac
  [ "$seen" -le "$2" ] || { echo "$seen"; return 10; }
}
# settled UNIT: no earlier change of it waits for a confirmation (see confirm.sh): 15 if one does, with the time that is left,
# in 1/100 s; 16 if the revert of this change has begun
settled() {
  pending=$L/confirm/$1
  case " $armed " in
    *" $1 "*) [ -f "$pending/armed" ] && [ ! -f "$pending/begun" ] || return 16 ;;
    *) [ ! -f "$pending/armed" ] || { time_left "$1"; return 15; } ;;
  esac
}
# time_left UNIT: until its revert, which is started if it is overdue, because something has stopped its timer
time_left() {
  clock
  while IFS='=' read -r key value; do [ "$key" != deadline ] || now=$((value - now)); done <"$L/confirm/$1/armed"
  [ "$now" -gt -1000 ] || systemctl start --no-block -- "fleet-confirm@$1.service"
  printf '%s\n' "$now"
}
# has_place UNIT: 13 if something is in place of its files. A pipe would never end. To be stopped, a unit needs only its record
has_place() {
  case " $stops " in *" $1 "*) [ ! -f "$L/units/$1" ] || return 0 ;; esac
  for file in "$D/$1" "$L/units/$1" "$L/removed/$1" "$D/$1.d/zz-fleet-fenced.conf"; do
    [ ! -d "$file" ] || [ -L "$file" ] || { echo "$file is a directory"; return 13; }
    case "$file" in "$L"/*) ! is_there "$file" || [ -f "$file" ] || { echo "$file is no file"; return 13; } ;; esac
  done
  ! is_there "$D/$1.d" || [ -d "$D/$1.d" ] || { echo "$D/$1.d is no directory"; return 13; }
}
# can_link LINK: 13 if a link in a folder of units cannot be made
can_link() {
  [ ! -L "./$1" ] || return 0
  ! is_there "./$1" || { echo "$D/$1 is no link"; return 13; }
  ! is_there "./${1%/*}" || can_change "$D/${1%/*}" || return 13
}
# guard UNIT TOKEN OVER TEMPLATE LINK...: 10 as in "seen"; 15 and 16 as in "settled"; 11 if the unit is foreign; 12 if an alias belongs to
# another unit; 13 as in "has_place" and "can_link"; 14 if the token of the record is neither TOKEN nor OVER, the one that the decision
# was based on
guard() {
  seen "$1" "$2" && settled "$1" || return
  [ -z "$3" ] || [ ! -f "$L/units/$1" ] || [ "$seen" = "$2" ] || [ "$seen" = "$3" ] || { echo "$seen"; return 14; }
  has_place "$1" || return
  unit=$1 template=$4
  shift 4
  # What remains are the aliases.
  for link; do
    shift
    case "$link" in */*) can_link "$link" || return ;; *) set -- "$@" "$link" ;; esac
  done
  for folder in $folders; do
    for alias; do
      if is_there "$folder/$alias" && ! is_name "$folder/$alias" "$unit"; then echo "$alias $folder/$alias"; return 12; fi
    done
    [ ! -f "$L/units/$unit" ] || continue
    for file in "$unit" $template; do
      [ ! -f "$L/units/$file" ] || continue
      if is_there "$folder/$file"; then echo "$folder/$file"; return 11; fi
    done
  done
}
# is_name FILE UNIT: whether it is a name of the unit, whose file may not exist yet. All masks link to /dev/null.
is_name() {
  [ -L "$1" ] && [ ! "$1" -ef /dev/null ] || return
  if [ -e "$1" ]; then [ "$1" -ef "$D/$2" ]; return; fi
  case "$(readlink "$1")" in "$2" | */"$2") ;; *) return 1 ;; esac
}

# read_refusals UNIT...: sets $refusals to "none" if all of them can be stopped by hand
read_refusals() {
  told show --property=RefuseManualStop -- "$@" 2>/dev/null || return 0
  case "$said" in *=yes*) ;; *) refusals=none ;; esac
}
# opens UNIT: its file can be opened for writing, if it has one, because permissions prove nothing for root: busybox has -w for every file.
# It fails before anything is stopped, also for an immutable file (chattr(1))
opens() {
  [ -f "./$1" ] || [ -d "./$1" ] || return 0
  { true >>"./$1"; } 2>/dev/null || { refuse "$D/$1" "$({ true >>"./$1"; } 2>&1)"; return 1; }
}
# check UNIT: it can be stopped and removed. Its record is rewritten for the same reason
check() {
  opens "$1" || return
  [ ! -e "$L/removed" ] || can_change "$L/removed" || return
  [ ! -f "$L/units/$1" ] || { contents "$L/units/$1" && overwrite "$L/units/$1" "${text%"$nl"}"; } || return
  [ "$refusals" != none ] || return 0
  case "$(systemctl show --property=RefuseManualStop -- "$1")" in
    *=yes) echo 'it has RefuseManualStop=yes'; return 1 ;;
  esac
}

# save FILE TEXT: unit files are readable for all users. A shell reports a full disk as an "I/O error"; cat reports the
# cause
save() {
  case "$1" in "$L/"*) ;; *) umask 022 ;; esac
  { printf '%b' "$2" >"$1"; } 2>/dev/null || printf '%b' "$2" 2>/dev/null | cat >"$1"
  set -- "$?"
  umask 077
  return "$1"
}

# gather: from now on, new files have the names of their units, in folders that no other script uses, so that one process can move
# all of them
gather() { ! mkdir -- ".fleet-$$" "$L/tmp/$$" 2>/dev/null || gathered=yes; }
# beside INDEX UNIT: sets $fresh and $draft to the new unit file and the new record, beside their places. sha256sum changes a name with
# a backslash
beside() {
  fresh=.fleet-$$-$1 draft=$L/tmp/$$-$1
  [ "$gathered" ] || return 0
  case "$2" in *\\*) ;; *) fresh=.fleet-$$/$2 draft=$L/tmp/$$/$2 ;; esac
}
# put INDEX UNIT TEXT: the new unit file; removed if it does not fit on the disk
put() {
  opens "$2" || return
  beside "$1" "$2"
  save "$fresh" "$3" || { rm -f "$fresh"; return 1; }
}
# stay INDEX UNIT: its new file cannot be written, which must not prevent its stop: it keeps its present text
stay() {
  beside "$1" "$2"
  rm -f "$draft"
  staying="$staying $2 "
}
stays() { case "$staying" in *" $1 "*) ;; *) return 1 ;; esac; }
# discard INDEX UNIT: the new unit file
discard() {
  beside "$1" "$2"
  rm -f "$fresh"
}

# has UNIT DIGEST: its file has that digest
has() { [ -f "./$1" ] && case "$(sha256sum 2>/dev/null <"./$1")" in "$2 "*) return 0 ;; *) return 1 ;; esac; }

# arrived UNIT DIGEST: the same, or it keeps its present text
arrived() { stays "$1" || has "$@"; }

# read_present UNIT...: the digests of their files
read_present() {
  for unit; do shift; [ ! -f "./$unit" ] || set -- "$@" "./$unit"; done
  [ $# -eq 0 ] || present=$(sha256sum -- "$@" 2>/dev/null)$nl
}
# is_present UNIT DIGEST: its file had that digest. sha256sum changes a name with a backslash
is_present() {
  case "$1" in *\\*) has "$@"; return ;; esac
  case "$present" in *"$2  ./$1$nl"*) ;; *) return 1 ;; esac
}

# read_sums: the digests of the new files
read_sums() { sums="$(sha256sum -- .fleet-$$-* .fleet-$$/* 2>/dev/null </dev/null)
"; }
# verify INDEX UNIT DIGEST: the file arrived unchanged
verify() {
  ! stays "$2" || return 0
  beside "$1" "$2"
  case "$sums" in *"$3  $fresh
"*) return 0 ;; esac
  echo 'the file that arrived differs from the file that was sent'
  return 1
}

# draft INDEX UNIT RECORD: the new record
draft() {
  beside "$1" "$2"
  save "$draft" "$3" || { rm -f "$draft"; return 1; }
}

# flush: writes new files and records to the disk before they are renamed, so that a power loss leaves either the old or
# the new one
flush() {
  set --
  for file in .fleet-$$-* .fleet-$$/* "$L/tmp/$$-"* "$L/tmp/$$/"*; do [ ! -e "$file" ] || set -- "$@" "$file"; done
  [ $# -eq 0 ] || within 60 sync -- "$@"
}
# tidy: removes the files of this script that are beside their places
tidy() {
  set --
  for file in .fleet-$$ .fleet-$$-* "$L/tmp/$$" "$L/tmp/$$-"*; do [ ! -e "$file" ] || set -- "$@" "$file"; done
  [ $# -eq 0 ] || rm -rf "$@"
}

# claim UNIT TOKEN: refuses older decisions from now on. A unit without a record has left its token in "removed". "claimed"
# stays until the steps after the stop are done.
claim() {
  [ -f "$L/units/$1" ] || return 0
  amend "$L/units/$1" "token=$2" && overwrite "$L/units/$1" "${text}claimed=yes"
}
# amend RECORD LINE: sets $text to the lines of the record, with this one in place of the one with its key
amend() {
  text=
  while IFS= read -r line; do
    case "$line" in "${2%%=*}="*) line=$2 ;; '' | claimed=*) continue ;; esac
    text="$text$line
"
  done <"$1"
}

# overwrite FILE TEXT: in place and at once. The text is smaller than a block, so that this needs no room on a full disk, and
# a power loss leaves either the old or the new one. Empty lines cover the rest of a longer text.
overwrite() {
  new=$2
  contents "$1" || return
  while [ "${#new}" -lt $((${#text} - 1)) ]; do new="$new
"; done
  printf '%s\n' "$new" 1<>"$1"
}

# forbid UNIT TOKEN: it is not here, and an older decision cannot install it
forbid() {
  [ ! -f "$L/units/$1" ] || { echo 'it has come there meanwhile'; return 1; }
  save "$L/tmp/$$-forbid" "token=$2\n" && mv -f "$L/tmp/$$-forbid" "$L/removed/$1" && forget_reverted "$1"
}

# check_lease BOOT DEADLINE: 13 if the lease of a start has ended
check_lease() {
  read -r boot </proc/sys/kernel/random/boot_id && [ "$boot" = "$1" ] && clock && [ "$now" -lt "$2" ] || return 13
}

# journal UNIT LINES CLOCK: its last lines since then. With --since, --lines would give the first ones.
journal() {
  clock
  since=$((now - $3))
  journalctl --no-pager --quiet --output=cat --since="-$((since / 100)).$((since / 10 % 10))$((since % 10))s" --unit="$1" | tail -n "$2"
}

# stage: sets $V to an empty temporary folder for unit files
stage() { own "$R" && V=$(mktemp -d "$R/verify.XXXXXX"); }
# analyze PATH...: the version, and the problems of these unit files. The exit status can count warnings since 250; without
# --man=no a missing manual page would be an error.
analyze() {
  version_of systemd-analyze || return
  echo "$version"
  [ "${version:-0}" -lt 250 ] || set -- --recursive-errors=one "$@"
  cd "$V" && within 25 systemd-analyze verify --man=no "$@"
}
