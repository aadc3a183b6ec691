#!/usr/bin/env bash
# Installs the servers that `npm run test:real` runs from the distribution: MariaDB, PostgreSQL, Redis, HAProxy. Nothing when they are there.
# They are started by the tests themselves, from folders of their own; a service that the packages start is of no use to them.
set -uo pipefail

say() { printf '%s\n' "$*" >&2; }
has() { for it in "$@"; do compgen -G "$it" >/dev/null && return 0; done; return 1; }

packages=()
has /usr/sbin/mariadbd /usr/sbin/mysqld || packages+=(mariadb-server)
has '/usr/lib/postgresql/*/bin/postgres' || packages+=(postgresql)
has /usr/bin/redis-server /usr/local/bin/redis-server || packages+=(redis-server)
has /usr/sbin/haproxy /usr/local/sbin/haproxy || packages+=(haproxy)
[ ${#packages[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  say "packages.sh: ${packages[*]} missing, and there is no apt-get here. Install them by this system's own means."
  exit 1
fi
root=()
[ "$(id -u)" -eq 0 ] || root=(sudo -n)

# A mirror that hiccups is no finding.
for pause in 5 20 0; do
  if "${root[@]}" apt-get update -q >&2 &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}" >&2; then
    exit 0
  fi
  sleep "$pause"
done
say "packages.sh: apt-get could not install ${packages[*]}, three times. Its last words are above."
exit 1
