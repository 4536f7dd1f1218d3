#!/bin/sh
# install-deps.sh GROUP...: installs the Debian packages of the groups build, test, check and bench
# that are missing. Says nothing and needs no rights when all are there.
set -eu

build="gcc libc6-dev make cmake ninja-build pkg-config
    libsqlite3-dev libjansson-dev libcurl4-openssl-dev libssl-dev zlib1g-dev liburing-dev libnghttp2-dev
    libyaml-dev libcmocka-dev curl ca-certificates"
# curl is what the server's greeting and the README speak to it with; webhooks to https and the keys
# of issuers are checked with ca-certificates, which libcurl only recommends.
# libclang-rt holds the sanitizers; llvm, the symbols in their reports.
# systemd has what tries the units without being started itself.
test="valgrind clang libclang-rt-14-dev llvm clang-format clang-tidy
    python3-websockets python3-httpx nghttp2-client gnutls-bin openssl sqlite3 systemd"
# The proxies of docs/proxies.md (apache2-bin has no service), browsers, the client of docs/acme.md, and
# the container in which systemd runs the units.
check="nginx haproxy caddy apache2-bin chromium firefox-esr certbot systemd-container"
# The servers to compare with, the plots, and what tells where time goes.
bench="nginx-light libnginx-mod-nchan pushpin gnuplot-nox linux-perf"

wanted=
for group in "$@"; do
    case $group in
    build) wanted="$wanted $build" ;;
    test)
        wanted="$wanted $test"
        # Any Node 18 or newer will do, from wherever it came.
        command -v node >/dev/null || wanted="$wanted nodejs"
        command -v npm >/dev/null || wanted="$wanted npm"
        ;;
    check) wanted="$wanted $check" ;;
    bench)
        wanted="$wanted $bench"
        command -v node >/dev/null || wanted="$wanted nodejs"
        ;;
    *)
        echo "usage: $0 [build] [test] [check] [bench]" >&2
        exit 2
        ;;
    esac
done

missing=
for package in $wanted; do
    case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
    installed) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "freshet is built on Debian 12; elsewhere install what Debian calls:$missing" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "packages are missing, and there is no sudo; as root: apt-get install$missing" >&2
    exit 1
fi

# Debian starts a service as soon as its package is installed. The tests start what they need by
# themselves, and somebody may use these ports.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    # dash runs EXIT after a signal only if the signal has a trap of its own. A policy that is left
    # behind would keep every service that is installed later from starting.
    trap '$as_root rm -f $policy' EXIT
    trap 'exit 130' INT
    trap 'exit 143' HUP TERM
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod +x $policy
fi

echo "installing:$missing"
# Unquoted on purpose: each is a list of words, or nothing.
$as_root apt-get update -q
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends $missing </dev/null
