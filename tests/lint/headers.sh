#!/bin/sh
# headers.sh ROOT: every header opens with a comment that says what it is for, has #pragma once,
# and compiles when it is the first thing included. Most have a source that includes them first,
# and the build has compiled that; only the others are compiled here.
set -eu
cd "$1"

check() {
    status=0
    for header in "$@"; do
        case $(head -n 1 "$header") in
        "/* "?*) ;;
        *)
            echo "$header:1: open with a comment of one sentence: what is this header for?"
            status=1
            ;;
        esac
        grep -q '^#pragma once$' "$header" || {
            echo "$header: no #pragma once"
            status=1
        }
        grep -m 1 '^#include' "${header%.h}.c" 2>/dev/null |
            grep -qxF "#include \"${header#src/}\"" ||
            printf '#include "%s"\n' "${header#src/}" |
            "${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -Isrc -Wall -Wextra -Werror -Wno-unused-function \
                -fsyntax-only -x c - || status=1
    done
    return $status
}

# shellcheck disable=SC2046 # no file name in src has a blank
check $(find src -name '*.h' -print | LC_ALL=C sort)
