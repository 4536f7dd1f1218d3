#!/bin/sh
# words.sh ROOT: the tree speaks of itself alone: no paths of somebody's machine, no numbers of
# tickets that a reader cannot look up.
set -eu
cd "$1"

# The brackets keep this file from finding itself.
paths='[/]work/|[/]farm/|[/]studio/|[/]bash_jobs|[/]tmp/freshet/|[/]home/[a-z]|[/]root/'
tickets='\b([Ii]ssue|[Tt]icket|PR) #?[0-9]+'

# grep answers 1 when it finds nothing, which is what we want, and 2 when it could not look.
found=0
grep -rInE --exclude-dir=.git --exclude=.git --exclude-dir=node_modules --exclude-dir=build \
    --exclude-dir=freshet-data "$paths|$tickets" . || found=$?
[ "$found" -eq 1 ] && exit 0
echo "say it without naming a machine, a tool of one workplace or a ticket"
exit 1
