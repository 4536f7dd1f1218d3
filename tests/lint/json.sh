#!/bin/sh
# json.sh ROOT: no JSON is written by hand in src. A literal with an escaped name or the start of an
# escaped string in a container is a document in pieces, whose commas, quotes and escapes somebody
# has to place: base/json_writer.h does that. Tests may hold JSON to compare with.
set -eu
cd "$1"

# grep answers 1 when it finds nothing, which is what we want, and 2 when it could not look.
found=0
grep -rnE --include='*.[ch]' --exclude='*_test.c' --exclude='testing*.h' \
    '\\":([^ ]|$)|[{[,]\\"' src || found=$?
[ "$found" -eq 1 ] && exit 0
echo "write JSON by base/json_writer.h"
exit 1
