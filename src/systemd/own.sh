# What keeps the folders of fleet to root, beside the words of machine.sh

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
