#!/bin/sh
# Makes the fleet's own certificate authority and certificates signed by it. Usage: fleet-ca.sh DIR NAME [NAME...]
#
# DIR/ca.crt and DIR/ca.key: the authority (EC P-256, 10 years), made where there is none yet.
# DIR/NAME.crt and DIR/NAME.key: for the gateway or worker NAME (1 year), for both ends of a connection, under the names
# NAME and ferry-fleet. Nothing that exists is overwritten.
set -eu

fail() { echo "fleet-ca.sh: $*" >&2; exit 1; }
usage() { echo "usage: fleet-ca.sh DIR NAME [NAME...]" >&2; exit 2; }

[ $# -ge 2 ] || usage
command -v openssl >/dev/null || fail "the program openssl is needed and was not found"
dir=$1
shift

for name in "$@"; do
  case $name in
    '' | *[!a-z0-9._-]*) fail "the name \"$name\"; a-z, 0-9, '.', '_' and '-' were expected" ;;
    ca) fail "the name \"ca\" is the authority's" ;;
  esac
  [ ${#name} -le 64 ] || fail "the name \"$name\" is longer than 64 characters"
  for file in "$dir/$name.key" "$dir/$name.crt"; do
    [ ! -e "$file" ] || fail "$file exists and is not overwritten"
  done
done

umask 077
mkdir -p "$dir"
work=$(mktemp -d "$dir/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cat >"$work/request.cnf" <<'END'
[req]
prompt = no
distinguished_name = name
[name]
CN = ferry
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
END

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

# Links, other than renames, fail where there is something already.
publish() {
  chmod "$3" "$1"
  ln "$1" "$2" || fail "$2 cannot be made"
}

if [ ! -e "$dir/ca.key" ] && [ ! -e "$dir/ca.crt" ]; then
  new_key "$work/ca.key"
  openssl req -x509 -new -sha256 -days 3650 -config "$work/request.cnf" -extensions authority -subj "/CN=Ferry fleet authority" \
    -key "$work/ca.key" -out "$work/ca.crt"
  publish "$work/ca.key" "$dir/ca.key" 600
  publish "$work/ca.crt" "$dir/ca.crt" 644
fi
[ -e "$dir/ca.key" ] || fail "$dir/ca.crt exists, but its key $dir/ca.key does not"
[ -e "$dir/ca.crt" ] || fail "$dir/ca.key exists, but its certificate $dir/ca.crt does not"

for name in "$@"; do
  cat >"$work/extensions.cnf" <<END
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:$name, DNS:ferry-fleet
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END
  new_key "$work/$name.key"
  openssl req -new -sha256 -config "$work/request.cnf" -subj "/CN=$name" -key "$work/$name.key" -out "$work/$name.csr"
  openssl x509 -req -sha256 -days 365 -in "$work/$name.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" \
    -set_serial "0x$(openssl rand -hex 16)" -extfile "$work/extensions.cnf" -out "$work/$name.crt" 2>"$work/log" || fail "$(cat "$work/log")"
  publish "$work/$name.key" "$dir/$name.key" 600
  publish "$work/$name.crt" "$dir/$name.crt" 644
done
