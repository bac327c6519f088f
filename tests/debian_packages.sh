#!/bin/sh
# Installs the Debian packages whose servers tests run, where that can be done: by root, with apt-get. Where it cannot,
# those tests are skipped; so nothing here is a failure, and what is missing is said with the reason. Starts no service.
set -u

packages="influxdb redis-server"
policy=/usr/sbin/policy-rc.d # Debian asks it before a service is started; 101 forbids that

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

go_without() {
    echo "$0: not installed: $missing(tests of those will be skipped): $1" >&2
    exit 0
}

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=2 -o Acquire::http::Timeout=20 \
        -o DPkg::Lock::Timeout=120 "$@" </dev/null >/dev/null
}

forbid_services() {
    [ ! -e "$policy" ] || return 0
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
}

missing="$packages "
command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || go_without "this is not Debian"
missing=""
for package in $packages; do
    is_installed "$package" || missing="$missing$package "
done
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] || go_without "only root can install them"
forbid_services || go_without "$policy cannot be written"
apt update || go_without "apt-get cannot fetch its lists"
# several words are meant: shellcheck disable=SC2086
apt install --yes --no-install-recommends $missing || go_without "apt-get cannot install them"
