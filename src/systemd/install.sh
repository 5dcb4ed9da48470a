# What puts the files and links of units in place, and removes them: a part of change.sh.

# make_way UNIT LINK...: removes what its new text or state does not have: all links to it, except these
make_way() {
  [ -f "$L/confirm/$1/armed" ] || forget_reverted "$1" || return
  unlink_others "$@"
}
# keep_all, link_all and place_all UNIT...: put the records of these units in place, make their links for the boot, and put their new files
# in place, each with one process. That is the first attempt: install_unit finds what is left of each unit, with the error.
keep_all() {
  [ "$gathered" ] || return 0
  for unit; do shift; [ ! -f "$L/tmp/$$/$unit" ] || set -- "$@" "$L/tmp/$$/$unit"; done
  [ $# -eq 0 ] || mv -f -- "$@" "$L/units/" 2>/dev/null
  for draft; do [ -f "$draft" ] || kept="$kept${draft##*/} "; done
}
link_all() {
  for unit; do shift; ! is_kept "$unit" || [ -L "fleet.target.wants/$unit" ] || set -- "$@" "../$unit"; done
  [ $# -eq 0 ] || { boot_target && ln -s -- "$@" fleet.target.wants/; } 2>/dev/null || lacking=yes
}
place_all() {
  [ -z "$lacking" ] || return 0
  for unit; do
    shift
    [ -f ".fleet-$$/$unit" ] && [ ! -f "./$unit.d/zz-fleet-fenced.conf" ] && is_kept "$unit" || continue
    set -- "$@" ".fleet-$$/$unit"
  done
  [ $# -eq 0 ] || { touched && mv -f -- "$@" ./; } 2>/dev/null
}
is_kept() { case "$kept" in *" $1 "*) ;; *) return 1 ;; esac; }

# install_unit INDEX UNIT RECORD LINK...: its record, its links, and its new file, if any. The record comes before the file,
# because a file without a record counts as foreign. The file comes last: until then, or without the last link, the next
# pass repeats all of this. $fenced is the text of the drop-in, empty for none.
install_unit() {
  index=$1 unit=$2 record=$3
  shift 3
  ! stays "$unit" || { amend "$L/units/$unit" target=loaded && overwrite "$L/units/$unit" "${text%"$nl"}"; return; }
  keep "$index" "$unit" "$record" && link "$unit" "$@" && fence "$unit" "$fenced" || return
  beside "$index" "$unit"
  [ ! -f "$fresh" ] || { touched && mv -fT "$fresh" "./$unit"; }
}

# forget_reverted UNIT: a later decision ends the report about a reverted change
forget_reverted() { [ ! -f "$L/confirm/$1/reverted" ] || rm -rf "$L/confirm/$1"; }

# keep INDEX UNIT RECORD: puts the record in place; over the old one if the disk is full
keep() {
  ! is_kept "$2" || return 0
  beside "$1" "$2"
  if [ ! -f "$draft" ] && ! draft "$@" 2>/dev/null && [ -f "$L/units/$2" ]; then
    overwrite "$L/units/$2" "$(printf '%b' "$3")"
  else
    [ -f "$draft" ] || draft "$@" || return
    mv -f "$draft" "$L/units/$2"
  fi
}

# unlink_pulls UNIT LINK...: removes all links that pull the unit in, except these
unlink_pulls() {
  unit=$1
  shift
  for folder in $pulls; do
    link=$folder/$unit
    [ -L "./$link" ] || continue
    case " $* " in *" $link "*) continue ;; esac
    case "$link" in fleet.target.wants/*) unlink_in "$folder" || return; continue ;; esac
    touched && unlink_in "$folder" || return
    rmdir "./$folder" 2>/dev/null || :
  done
}
# unlink_in FOLDER: rm does not say whether the folder is the reason
unlink_in() { rm -f "./$1/$unit" || { can_change "$D/$1"; return 1; }; }

# unlink_others UNIT LINK...: removes all links to the unit, except these
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

# link UNIT LINK...: creates these links to it; those in the folder itself are aliases
link() {
  unit=$1
  shift
  for link; do
    case "$link" in fleet.target.wants/*) boot_target || return ;; esac
    [ ! -L "./$link" ] || continue
    case "$link" in
      fleet.target.wants/*) ln -sT "../$unit" "$link" ;;
      */*) touched && { [ -d "./${link%/*}" ] || mkdir -m 755 "./${link%/*}"; } && ln -sT "../$unit" "./$link" ;;
      *) touched && ln -sT -- "$unit" "./$link" ;;
    esac || return
  done
}

# fence UNIT TEXT: the drop-in that binds it to the lease, on the disk before its unit file counts
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

# boot_target: starts the launched units at boot
boot_target() {
  [ -z "$can_boot" ] || return 0
  for folder in fleet.target.wants multi-user.target.wants; do
    [ -d "$folder" ] || mkdir -m 755 "$folder" || return
  done
  boots || { touched && save ".fleet-$$-target" "$boot_text\n" && mv -fT ".fleet-$$-target" fleet.target; } ||
    [ -f fleet.target ] || return
  [ -L multi-user.target.wants/fleet.target ] || ln -sT ../fleet.target multi-user.target.wants/fleet.target || return
  can_boot=yes
}

# remove UNIT: its file, and all links to it
remove() { touched && unlink_others "$1" && { ! is_there "./$1" || rm -f "./$1"; }; }
# erase FOLDER UNIT...: removes the files or links of these names in it. That is the first attempt for all units, in one process; the steps
# of each unit find what is left, with the error
erase() {
  folder=$1
  shift
  for unit; do shift; set -- "$@" "$folder/$unit"; done
  rm -f -- "$@" 2>/dev/null
}

# forget UNIT...: the failures of these units, which have no files any more
forget() {
  if [ "$has_lists" ]; then
    for unit; do
      shift
      case "$listed" in *"$unit "*) set -- "$@" "$unit" ;; esac
    done
  fi
  [ $# -eq 0 ] || batch reset_failed "$@"
}
# retire UNIT TOKEN: removes its record after systemd has read that the unit is gone; before that it would count as foreign.
# The token is kept.
retire() {
  case "$retired" in *" $1 "*) return 0 ;; esac
  [ ! -f "./$1.d/zz-fleet-fenced.conf" ] || unfence "$1" || return
  { save "$L/tmp/record" "token=$2\n" && mv -f "$L/tmp/record" "$L/removed/$1"; } ||
    mv -f "$L/units/$1" "$L/removed/$1" || return
  rm -f "$L/units/$1" && forget_reverted "$1"
}
# spare UNIT TOKEN: the token that stays, beside its place, unless more than a record has to be removed
spare() {
  [ ! -f "./$1.d/zz-fleet-fenced.conf" ] && [ ! -d "$L/confirm/$1" ] || return 0
  save "$L/tmp/$$/$1" "token=$2\n" 2>/dev/null || rm -f "$L/tmp/$$/$1"
}
# retire_all UNIT...: the first attempt to retire these units, with one process for their tokens and one for their records
retire_all() {
  for unit; do shift; [ ! -f "$L/tmp/$$/$unit" ] || set -- "$@" "$L/tmp/$$/$unit"; done
  [ $# -gt 0 ] && mv -f -- "$@" "$L/removed/" 2>/dev/null || return 0
  for file; do shift; set -- "$@" "${file##*/}"; done
  ! erase "$L/units" "$@" || retired=" $* "
}
