# What changes a machine, beside the words of machine.sh. What stands between lock and unlock is done by one fleet
# process at a time.

# prepare: the folders of fleet; 12 when a tool is not there without which nothing must be changed
prepare() {
  tools=$(absent flock sha256sum timeout)
  [ -z "$tools" ] || { echo $tools; return 12; }
  own "$L" "$L/units" "$L/removed" "$L/tmp" "$R" && cd "$D" || return
  [ -w . ] || { echo "$D: Read-only file system"; return 1; }
  [ ! -d fleet.target ] || { echo "$D/fleet.target is a directory"; return 1; }
  for folder in fleet.target.wants multi-user.target.wants; do
    ! is_there "$folder" || [ -d "$folder" ] || { echo "$D/$folder is no directory"; return 1; }
  done
  names=
  for file in *; do [ ! -L "$file" ] || names="$names $file"; done
}
# own FOLDER...: they are there, and root's alone. Earlier versions made them so that other users could open and lock
# what is in them; where other users could write as well, what they left there is not used
own() {
  umask 077
  for folder; do
    [ -d "$folder" ] || mkdir -p "$folder" || return
    [ -O "$folder" ] || { echo "$folder belongs to another user"; return 1; }
    [ -w "$folder" ] || { echo "$folder: Read-only file system"; return 1; }
  done
  for mode in $(stat -Lc %a -- "$@"); do
    case "$mode" in *700 | *711) ;; *) narrow "$@"; return ;; esac
  done
}
# narrow FOLDER...: nothing more comes in before what is there is looked at
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
  each close_to_others "$@"
}
# A registry of another user may be in the folder.
close_to_others() { chmod go= "$@" && { [ ! -d "$L/registry" ] || chmod 711 "$L"; }; }

# lock: 11 when that takes too long, and which process has it
lock() {
  command exec 9>"$R/lock" || return
  flock -w "$W" 9 || { holder "$R/lock"; return 11; }
}
# holder FILE: process, user and command of one that has locked it; Linux tells since 4.1
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

# sweep: takes away the files of scripts that were killed. A script that is under way holds "busy" all the time,
# also while it waits for a stop without the lock; only when none does is a file nobody's.
sweep() {
  command exec 8>"$R/busy" || return
  for file in .fleet-* "$L/tmp/"*; do
    [ -e "$file" ] || continue
    ! flock -n 8 || rm -f .fleet-* "$L/tmp/"*
    break
  done
  flock -s -w "$W" 8 || { holder "$R/busy"; return 11; }
}

# cluster ID: the machine belongs to that cluster, from now on if it belonged to none
cluster() {
  sweep || return
  [ ! -e "$L/reload" ] || changed=yes
  if [ -s "$L/cluster" ]; then
    read -r owner <"$L/cluster"
    [ "$owner" = "$1" ] || { echo "$owner"; return 10; }
  else
    printf '%s\n' "$1" >"$L/tmp/cluster" && mv -f "$L/tmp/cluster" "$L/cluster"
  fi
}

# adopt UNIT TOKEN DIGEST RECORD: puts the record in place of a damaged one; or of one that is missing, if the unit file
# is that one. 10 as for "seen"
adopt() {
  seen "$1" "$2" || return
  case "$(cat "$L/units/$1" 2>/dev/null)" in
    "unit=$1
"*target=launched* | "unit=$1
"*target=loaded* | "unit=$1
"*target=inactive*) return ;;
  esac
  [ -f "$L/units/$1" ] || has "$1" "$3" || { echo 'its record is missing, and its file has changed meanwhile'; return 1; }
  save "$L/tmp/$$-adopt" "$4" && mv -f "$L/tmp/$$-adopt" "$L/units/$1"
}

# seen UNIT TOKEN: 10 when the machine has seen a newer token
seen() {
  known=$L/units/$1 seen=0
  [ -f "$known" ] || known=$L/removed/$1
  if [ -f "$known" ]; then
    while IFS='=' read -r key value; do [ "$key" != token ] || seen=$value; done <"$known"
  fi
  case "$seen" in '' | *[!0-9]*) seen=0 ;; esac
  [ "$seen" -le "$2" ] || { echo "$seen"; return 10; }
}
# guard UNIT TOKEN OVER TEMPLATE ALIAS...: the same; 14 when the record is neither of this decision nor the one with token
# OVER, which it was made on; 11 when the unit is not fleet's, 12 when one of its other names is
# that of something else, 13 when something is in the place of its files
guard() {
  seen "$1" "$2" || return
  [ -z "$3" ] || [ ! -f "$L/units/$1" ] || [ "$seen" = "$2" ] || [ "$seen" = "$3" ] || { echo "$seen"; return 14; }
  unit=$1 template=$4
  for file in "$D/$1" "$L/units/$1" "$L/removed/$1" "$D/$1.d/zz-fleet-fenced.conf"; do
    [ ! -d "$file" ] || [ -L "$file" ] || { echo "$file is a directory"; return 13; }
  done
  ! is_there "$D/$1.d" || [ -d "$D/$1.d" ] || { echo "$D/$1.d is no directory"; return 13; }
  shift 4
  for folder in "$D" $F; do
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
# is_name FILE UNIT: whether it is another name of the unit, whose file need not be there yet. All masks lead to /dev/null.
is_name() {
  [ -L "$1" ] && [ ! "$1" -ef /dev/null ] || return
  if [ -e "$1" ]; then [ "$1" -ef "$D/$2" ]; return; fi
  case "$(readlink "$1")" in "$2" | */"$2") ;; *) return 1 ;; esac
}

# check UNIT: it can be stopped and taken away. Its record is written as it is, which a check of access does not prove
check() {
  for file in "$L/units/$1" "$L/removed" "$D/$1"; do
    [ ! -e "$file" ] || [ -w "$file" ] || { echo "$file: Operation not permitted"; return 1; }
  done
  [ ! -f "$L/units/$1" ] || overwrite "$L/units/$1" "$(cat -- "$L/units/$1")" || return
  case "$(systemctl show --property=RefuseManualStop -- "$1")" in
    *=yes) echo 'it has RefuseManualStop=yes'; return 1 ;;
  esac
}

# save FILE TEXT: unit files can be read by all, as everywhere. A shell calls a full disk an "I/O error"; cat tells
# what it is
save() {
  case "$1" in "$L/"*) ;; *) umask 022 ;; esac
  { printf '%b' "$2" >"$1"; } 2>/dev/null || printf '%b' "$2" 2>/dev/null | cat >"$1"
  set -- "$?"
  umask 077
  return "$1"
}

# put INDEX TEXT: the new unit file, beside its place, under a name that no other script uses. One that does not
# fit leaves its room to the others.
put() { save ".fleet-$$-$1" "$2" || { rm -f ".fleet-$$-$1"; return 1; }; }

# has UNIT DIGEST: its file is that one
has() { [ -f "./$1" ] && case "$(sha256sum 2>/dev/null <"./$1")" in "$2 "*) return 0 ;; *) return 1 ;; esac; }

# verify INDEX DIGEST: the bytes that arrived are the bytes that were sent
verify() {
  case "$sums" in *"$2  .fleet-$$-$1
"*) return 0 ;; esac
  echo 'the file that arrived differs from the file that was sent'
  return 1
}

# draft INDEX RECORD: the new record, beside its place
draft() { save "$L/tmp/$$-$1" "$2" || { rm -f "$L/tmp/$$-$1"; return 1; }; }

# flush: new files and records are on the disk before they are renamed, so that a power loss leaves the old one or
# the new one, never half of it
flush() {
  set -- .fleet-$$-* "$L/tmp/$$-"*
  [ -e "$1" ] || shift
  [ ! -e "$1" ] || within 60 sync -- "$@"
}

# claim UNIT TOKEN: from now on older decisions are refused. One that is not there has left its token behind.
# "claimed" stays until somebody has carried out what comes after the stop.
claim() {
  [ -f "$L/units/$1" ] || return 0
  text=
  while IFS= read -r line; do
    case "$line" in token=*) line=token=$2 ;; '' | claimed=*) continue ;; esac
    text="$text$line
"
  done <"$L/units/$1"
  overwrite "$L/units/$1" "${text}claimed=yes"
}

# overwrite FILE TEXT: in its place and at once. It is smaller than a block, so this needs no room on a full disk, and
# a power loss leaves the old text or the new one. Empty lines cover what is left of a longer one.
overwrite() {
  old=$(cat -- "$1") text=$2
  while [ "${#text}" -lt "${#old}" ]; do text="$text
"; done
  printf '%s\n' "$text" 1<>"$1"
}

# forbid UNIT TOKEN: it is not here, and whoever decided earlier cannot bring it any more
forbid() {
  [ ! -f "$L/units/$1" ] || { echo 'it has come there meanwhile'; return 1; }
  save "$L/tmp/$$-forbid" "token=$2\n" && mv -f "$L/tmp/$$-forbid" "$L/removed/$1"
}

# check_lease BOOT DEADLINE: 13 when the lease that a start was decided under is over
check_lease() {
  read -r boot </proc/sys/kernel/random/boot_id && [ "$boot" = "$1" ] && clock && [ "$now" -lt "$2" ] || return 13
}

# install_unit INDEX UNIT RECORD LINK...: its record, its links, and its file if there is a new one. The record comes before
# the file: a file without one would count as somebody else's. The file comes last: as long as it is the old one, or
# the last link is missing, the next pass does all of this again. $fenced is the text of its fence, empty for none.
install_unit() {
  index=$1 unit=$2 record=$3
  shift 3
  unlink_others "$unit" "$@" && keep "$index" "$unit" "$record" || return
  [ ! -e "$L/removed/$unit" ] || rm -f "$L/removed/$unit" || return
  link "$unit" "$@" || return
  fence "$unit" "$fenced" || return
  [ ! -f ".fleet-$$-$index" ] || { touched && mv -fT ".fleet-$$-$index" "./$unit"; }
}

# keep INDEX UNIT RECORD: puts the record in place; over the old one where the disk has no room for another
keep() {
  if [ ! -f "$L/tmp/$$-$1" ] && ! draft "$1" "$3" 2>/dev/null && [ -f "$L/units/$2" ]; then
    overwrite "$L/units/$2" "$(printf '%b' "$3")"
  else
    [ -f "$L/tmp/$$-$1" ] || draft "$1" "$3" || return
    mv -f "$L/tmp/$$-$1" "$L/units/$2"
  fi
}

# unlink_pulls UNIT LINK...: nothing pulls the unit in but these links
unlink_pulls() {
  unit=$1
  shift
  for link in *.wants/"$unit" *.requires/"$unit" *.upholds/"$unit"; do
    [ -L "./$link" ] || continue
    case " $* " in *" $link "*) continue ;; esac
    case "$link" in fleet.target.wants/*) rm -f "$link" || return; continue ;; esac
    touched && rm -f "./$link" || return
    rmdir "./${link%/*}" 2>/dev/null || :
  done
}

# unlink_others UNIT LINK...: nothing leads to the unit but these links
unlink_others() {
  unlink_pulls "$@" || return
  unit=$1
  shift
  for link in $names; do
    case " $* " in *" $link "*) continue ;; esac
    [ -L "./$link" ] && is_name "$D/$link" "$unit" || continue
    touched && rm -f "./$link" || return
  done
}

# link UNIT LINK...: these links lead to it; those in the folder itself are its other names
link() {
  unit=$1
  shift
  for link; do
    case "$link" in fleet.target.wants/*) boot_target || return ;; esac
    [ ! -L "./$link" ] || continue
    case "$link" in
      fleet.target.wants/*) ln -s "../$unit" "$link" ;;
      */*) touched && { [ -d "./${link%/*}" ] || mkdir -m 755 "./${link%/*}"; } && ln -s "../$unit" "./$link" ;;
      *) touched && ln -s -- "$unit" "./$link" ;;
    esac || return
  done
}

# fence UNIT TEXT: the drop-in that ties it to the lease of the machine, on the disk before its unit file counts
fence() {
  dropin=$1.d/zz-fleet-fenced.conf
  if [ -z "$2" ]; then
    [ -f "./$dropin" ] || return 0
    touched && unfence "$1"
    return
  fi
  touched && { [ -d "./$1.d" ] || mkdir -m 755 "./$1.d"; } && save "./$1.d/.fleet-$$" "$2" || return
  within 60 sync -- "./$1.d/.fleet-$$" && mv -fT "./$1.d/.fleet-$$" "./$dropin"
}
unfence() { rm -f "./$1.d/zz-fleet-fenced.conf" && { rmdir "./$1.d" 2>/dev/null || :; }; }

# boot_target: what starts the launched units when the machine boots
boot_target() {
  for folder in fleet.target.wants multi-user.target.wants; do
    [ -d "$folder" ] || mkdir -m 755 "$folder" || return
  done
  boots || { touched && save ".fleet-$$-target" "$boot_text\n" && mv -fT ".fleet-$$-target" fleet.target; } ||
    [ -f fleet.target ] || return
  [ -L multi-user.target.wants/fleet.target ] || ln -s ../fleet.target multi-user.target.wants/fleet.target
}

# remove UNIT: its file, and what leads to it
remove() { touched && unlink_others "$1" && rm -f "./$1"; }

# retire UNIT TOKEN: its record, once systemd has read that the unit is gone; else the unit that systemd still knows
# would count as somebody else's. The token stays known.
retire() {
  [ ! -f "./$1.d/zz-fleet-fenced.conf" ] || unfence "$1" || return
  { save "$L/tmp/record" "token=$2\n" && mv -f "$L/tmp/record" "$L/removed/$1"; } ||
    mv -f "$L/units/$1" "$L/removed/$1" || return
  rm -f "$L/units/$1"
}

# journal UNIT LINES CLOCK: the last lines about it since then. Together with --since, --lines would give the first ones.
journal() {
  clock
  since=$((now - $3))
  journalctl --no-pager --quiet --output=cat --since="-$((since / 100)).$((since / 10 % 10))$((since % 10))s" --unit="$1" | tail -n "$2"
}

# stage: an empty folder for unit files that are only looked at; $V names it
stage() { own "$R" && V=$(mktemp -d "$R/verify.XXXXXX"); }
# analyze PATH...: what systemd has against them, and its version. Its exit status counts warnings since 250, if
# asked to; without --man=no a manual page that is not installed would be an error.
analyze() {
  version_of systemd-analyze || return
  echo "$version"
  [ "${version:-0}" -lt 250 ] || set -- --recursive-errors=one "$@"
  cd "$V" && within 25 systemd-analyze verify --man=no "$@"
}
