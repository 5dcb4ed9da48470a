# The functions of an examination, which leaves no files behind.

identity() { id -u; cat /etc/machine-id; }
# nearest FOLDER: the folder or its first existing parent
nearest() {
  folder=$1
  while [ -n "$folder" ] && [ ! -d "$folder" ]; do folder=${folder%/*}; done
  printf '%s\n' "${folder:-/}"
}
# writable FOLDER: creates a file, because permissions prove nothing for root
writable() {
  probe=$(nearest "$1")/.fleet-doctor-$$
  : >"$probe" && rm -f "$probe"
}
# broken: the tools that do not work, one per line; fails if there is no folder for the tests
broken() {
  t=$(nearest "$R")/.fleet-doctor-$$.d
  command mkdir -- "$t" 2>/dev/null && [ -d "$t" ] || return 1
  : >"$t/a" || return 1
  works flock flock -n "$t/a" true
  works sha256sum sums
  works base64 [ "$(printf x | base64)" = eA== ]
  works mktemp [ -f "$(mktemp "$t/XXXXXX")" ]
  works sync sync
  works tail [ "$(printf 'a\nb\n' | tail -n 1)" = b ]
  works ln linked
  works mv moved
  works sleep sleep 0
  works rm removed
  [ ! -d "$t" ] || rmdir "$t"
}
# works TOOL COMMAND...: prints the tool if the command fails
works() {
  name=$1
  shift
  "$@" >/dev/null 2>&1 || printf '%s\n' "$name"
}
sums() { case "$(printf x | sha256sum)" in 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\ *) ;; *) return 1 ;; esac; }
linked() { ln -s a "$t/l" && [ -L "$t/l" ]; }
moved() { mv -- "$t/a" "$t/m" && [ -f "$t/m" ]; }
removed() { rm -rf -- "$t" && [ ! -e "$t" ]; }
# space FOLDER...: lines `KiB inodes folder` of free space; "-" for a file system without inodes
space() {
  for place; do
    place=$(nearest "$place")
    printf '%s %s %s\n' "$(df -Pk "$place" | column 4)" "$(df -Pi "$place" 2>/dev/null | column 4)" "$place"
  done
}
# column N: that word of the second line
column() {
  read -r line
  read -r line
  set -- "$1" $line
  shift "$1"
  printf '%s' "${1:--}"
}
# shown: systemctl show for the units of fleet
shown() {
  cd "$L/units" 2>/dev/null || return 0
  set -- *
  [ ! -e "$1" ] || show "$@"
}
# altered: lines `UNIT damaged` for invalid records and `UNIT altered` for files that differ from their records
altered() {
  cd "$L/units" 2>/dev/null || return 0
  for unit in *; do
    digest=
    # To open a pipe would block.
    [ ! -f "./$unit" ] || while IFS='=' read -r key value; do [ "$key" != digest ] || digest=$value; done 2>/dev/null <"./$unit"
    if [ -e "./$unit" ] && [ -z "$digest" ]; then echo "$unit damaged"; fi
    [ "$digest" ] && [ -f "$D/$unit" ] || continue
    case "$(sha256sum <"$D/$unit")" in "$digest "*) ;; *) echo "$unit altered" ;; esac
  done
}
# occupied: lines `PATH is …` for what is in the place of a file of fleet
occupied() {
  for file in "$L"/units/* "$L"/removed/*; do
    if [ -d "$file" ]; then echo "$file is a directory"; elif is_there "$file" && [ ! -f "$file" ]; then echo "$file is no file"; fi
  done
  for unit in "$L"/units/*; do
    file=$D/${unit##*/}
    for place in "$file" "$file.d/zz-fleet-fenced.conf"; do
      [ ! -d "$place" ] || [ -L "$place" ] || echo "$place is a directory"
    done
    ! is_there "$file.d" || [ -d "$file.d" ] || echo "$file.d is no directory"
  done
}
# containers: the container tools in unit files of fleet, as lines `tool yes` or `tool no`
containers() {
  cd "$L/units" 2>/dev/null || return 0
  for tool in podman docker; do
    for unit in *; do
      [ -f "$D/$unit" ] || continue
      grep -qsw "$tool" "$D/$unit" || continue
      if command -v "$tool" >/dev/null; then echo "$tool yes"; else echo "$tool no"; fi
      break
    done
  done
}
