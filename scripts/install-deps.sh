#!/bin/sh
# install-deps.sh GROUP...: installs the Debian packages of the groups build, test, check and bench
# that are missing. Says nothing and needs no rights when all are there.
set -eu

build="gcc libc6-dev make cmake ninja-build pkg-config
    libsqlite3-dev libjansson-dev libcurl4-openssl-dev libssl-dev zlib1g-dev liburing-dev libnghttp2-dev
    libyaml-dev libcmocka-dev curl"
# curl is what the server's greeting and the README speak to it with.
# libclang-rt holds the sanitizers; llvm, the symbols in their reports.
test="valgrind clang libclang-rt-14-dev llvm clang-format clang-tidy ca-certificates
    python3-websockets python3-httpx nghttp2-client gnutls-bin"
# The proxies of docs/proxies.md (apache2-bin has no service), browsers, and the client of docs/acme.md.
check="nginx haproxy caddy apache2-bin openssl chromium firefox-esr certbot"
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

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "freshet needs these packages; install them as root:$missing" >&2
    exit 1
fi

# Debian starts a service as soon as its package is installed. The tests start what they need by
# themselves, and somebody may use these ports.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod +x $policy
    trap '$as_root rm -f $policy' EXIT
fi

echo "installing:$missing"
# Unquoted on purpose: each is a list of words, or nothing.
$as_root apt-get update -q
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends $missing </dev/null
