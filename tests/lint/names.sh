#!/bin/sh
# names.sh ROOT BUILD: no two files in ROOT/src define a function or variable of the same name. The
# linker would take either without a word if they are of two layers, so that one calls into the other.
# The names are taken from the object files in BUILD, which must be up to date.
set -eu
root=$(cd "$1" && pwd)
cd "$2/src"

# The object files whose source still exists.
find . -path '*/CMakeFiles/freshet_*.dir/*' -name '*.o' -print | LC_ALL=C sort | while read -r object; do
    folder=${object#./}
    source=${object#*.dir/}
    [ ! -f "$root/src/${folder%%/CMakeFiles/*}/${source%.o}" ] || echo "$object"
done | xargs -r nm -A -P -g --defined-only | awk '
    $3 ~ /^[TDBR]$/ {
        file = $1
        sub(/^\.\//, "", file)
        sub(/\/CMakeFiles\/[^\/]*\.dir/, "", file)
        sub(/\.o:$/, "", file)
        if ($2 in home && home[$2] != file) {
            print $2 ": " home[$2] " and " file
            bad = 1
        }
        home[$2] = file
    }
    END { exit bad }'
