# What a look is made of from which a registry can be rebuilt, beside the words of machine.sh

# texts UNIT...: their files, each as a line `unit base64`: that keeps every byte, which $(...) would not
texts() {
  # Else every text would be empty.
  [ -z "$(absent base64)" ] || { echo 'base64 is not there, install coreutils' >&2; return 12; }
  cd "$D" || return
  for unit; do
    [ -f "./$unit" ] || continue
    text=$(base64 -w 0 <"./$unit") || { [ ! -f "./$unit" ] || return; continue; }
    printf '%s %s\n' "$unit" "$text"
  done
}
# tokens: everything that holds a token, also of what was removed
tokens() { [ ! -e "$L" ] || { cd "$L" && each cat units/* removed/*; }; }
