# The facts of a host for a controller, one per line: NAME VALUE. Set before it: P program folder ·
# K key · H known hosts · C configuration · S state folder · FILES to digest.
echo "uid $(id -u)"
echo "arch $(uname -m)"
[ ! -d /run/systemd/system ] || echo "systemd yes"
for tool in base64 sha256sum runuser systemctl systemd-sysusers; do
  command -v "$tool" >/dev/null || echo "missing $tool"
done
for node in $P/node /usr/local/bin/node /usr/bin/node /usr/bin/nodejs; do
  [ -x "$node" ] && [ -f "$node" ] || continue
  version=$("$node" --version 2>/dev/null) || continue
  echo "node $version $node"
done
if [ -e "$P" ]; then
  case $(cat "$P/package.json" 2>/dev/null) in *'fleetctl controller install'*) ;; *) echo "foreign $P" ;; esac
fi
! id -u fleet >/dev/null 2>&1 || echo "user $(id -u fleet)"
[ ! -s "$K" ] || echo "private yes"
[ ! -s "$K.pub" ] || echo "key $(cat "$K.pub")"
[ ! -s "$H" ] || echo "known-hosts $(base64 -w 0 "$H")"
[ ! -s "$C" ] || echo "config $(base64 -w 0 "$C")"
[ ! -e "$S/registry/records" ] || echo "registry yes"
for unit in fleetd.service fleetd.socket; do
  fragment=$(systemctl show -P FragmentPath $unit 2>/dev/null) || :
  [ -z "$fragment" ] || echo "fragment $unit $fragment"
  state=$(systemctl is-active $unit 2>/dev/null) || :
  boot=$(systemctl is-enabled $unit 2>/dev/null) || :
  echo "state $unit ${state:-none} ${boot:-none}"
done
echo "files"
for file in $FILES; do
  [ ! -f "$file" ] || sha256sum "$file"
done
echo "end"
