#!/bin/sh
# format.sh ROOT: every C file is as clang-format would write it; `make format` mends it.
set -eu
cd "$1"

for dir in src fuzz bench; do
    [ ! -d "$dir" ] || find "$dir" -name '*.[ch]' -print
done | LC_ALL=C sort | xargs clang-format --dry-run -Werror --style=file
