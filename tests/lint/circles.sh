#!/bin/sh
# circles.sh ROOT BUILD: no two files of a folder in ROOT/src call each other, directly or by way of
# other files of the folder. Files that do are a single module in disguise: none of them can be read,
# tested or replaced without the others. The calls are taken from the object files in BUILD, which
# must be up to date.
#
# The folders in the list still have circles, which are printed. A folder that has been untied must
# leave the list, and no folder may join it.
set -eu
untied_later=${UNTIED_LATER-}
root=$(cd "$1" && pwd)

cd "$2/src"
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

# The object files of a folder whose source still exists. A room of it may be a library of its own.
objects() {
    find "$1" -path '*/CMakeFiles/freshet_*.dir/*.o' -print | LC_ALL=C sort | while read -r object; do
        source=${object%%/CMakeFiles/*}/${object#*.dir/}
        [ ! -f "$root/src/${source%.o}" ] || echo "$object"
    done
}

# A line for each external symbol of a folder: source file, name, and T (defined) or U (used).
symbols() {
    objects "$1" | xargs -r nm -A -P -g |
        sed "s|CMakeFiles/freshet_[a-z_]*\.dir/||; s|^$1/||; s|\.o: | |" | awk '{ print $1, $2, $3 }'
}

# The circles of a folder, one a line: the strongly connected components with more than one file
# (Tarjan's algorithm).
circles() {
    symbols "$1" | awk '
    $3 == "U" { uses[++uses_count] = $1 " " $2; next }
    $3 == "T" || $3 == "W" { home[$2] = $1 }

    function visit(file,    i, count, next_files, next_file, circle) {
        index_of[file] = low[file] = ++visited
        stack[++depth] = file
        stands[file] = 1
        count = split(calls[file], next_files, " ")
        for (i = 1; i <= count; i++) {
            next_file = next_files[i]
            if (!(next_file in index_of)) {
                visit(next_file)
                if (low[next_file] < low[file])
                    low[file] = low[next_file]
            } else if (stands[next_file] && index_of[next_file] < low[file]) {
                low[file] = index_of[next_file]
            }
        }
        if (low[file] != index_of[file])
            return
        count = 0
        do {
            next_file = stack[depth--]
            stands[next_file] = 0
            circle = circle " " next_file
            count++
        } while (next_file != file)
        if (count > 1)
            print count " files:" circle
    }

    END {
        for (i = 1; i <= uses_count; i++) {
            split(uses[i], part, " ")
            if (part[2] in home && home[part[2]] != part[1])
                calls[part[1]] = calls[part[1]] " " home[part[2]]
        }
        for (file in calls)
            files[++files_count] = file
        for (i = 1; i <= files_count; i++)
            if (!(files[i] in index_of))
                visit(files[i])
    }'
}

bad=0
found=0
for folder in *; do
    [ -d "$folder/CMakeFiles/freshet_$folder.dir" ] || continue
    found=1
    circles "$folder" >"$room/circles"
    sed "s|^|src/$folder: a circle of calls between |" "$room/circles"
    case " $untied_later " in
    *" $folder "*) listed=1 ;;
    *) listed=0 ;;
    esac
    if [ -s "$room/circles" ] && [ $listed = 0 ]; then
        echo "src/$folder: untie it: of two files, only one may call the other"
        bad=1
    elif [ ! -s "$room/circles" ] && [ $listed = 1 ]; then
        echo "src/$folder has no circles any more: take it off the list in tests/lint/circles.sh"
        bad=1
    fi
done
[ $found = 1 ] || {
    echo "no object files in $2/src: build first"
    bad=1
}
for folder in $untied_later; do
    [ -d "$root/src/$folder" ] || {
        echo "there is no src/$folder: take it off the list in tests/lint/circles.sh"
        bad=1
    }
done
exit $bad
