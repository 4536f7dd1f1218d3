#!/bin/sh
# layers.sh ROOT: every #include "layer/file.h" under ROOT/src goes to the file's own layer or to
# one that it may use, which the table names as a whole, as a room or as a single header of it. Some layers have
# rooms, folders of their own, which are layers in the same way. The tables below are the law;
# ARCHITECTURE.md tells them in words.
set -eu
cd "$1"

find src -name '*.[ch]' -print | LC_ALL=C sort | xargs awk '
BEGIN {
    may["base"] = ""
    may["net"] = "base"
    may["fetch"] = "net base"
    may["http"] = "base"
    may["http2"] = "http base"
    may["ws"] = "base"
    may["log"] = "net base"
    may["access"] = "log net base"
    may["backend"] = "fetch access net base http/target.h"
    may["hub"] = "log net base"
    may["publish"] = "access log net base http/media.h"
    may["presence"] = "log net base"
    may["subscribe"] = "presence access hub log net base"
    may["transport"] = "subscribe publish presence access hub log http2 http ws net base"
    may["webhooks"] = "fetch subscribe publish access hub log http ws net base"
    may["inbound"] = "http base"
    may["pages"] = "base"
    may["client"] = "inbound http ws base access/key_text.h"
    may["bench"] = "client/lib http ws base"
    may["api"] = "pages backend transport webhooks fetch subscribe publish presence access inbound hub log http2 http ws net base"
    may["server"] = "api pages bench client backend transport webhooks fetch subscribe publish presence access inbound hub log http2 http ws net base"

    # Rooms, and the rooms of the same layer that each may use. The files beside the rooms use all.
    rooms["client/lib"] = ""
    rooms["client/cli"] = "lib"
    rooms["webhooks/wire"] = ""
    rooms["webhooks/progress"] = "wire"
    rooms["webhooks/endpoint"] = "progress wire"
    rooms["webhooks/delivery"] = "endpoint progress wire"
    rooms["webhooks/websub"] = "endpoint progress wire"
    rooms["webhooks/requests"] = "websub delivery endpoint progress wire"
    for (name in rooms) {
        split(name, part, "/")
        has_rooms[part[1]] = 1
    }

    # Bytes in, events out: a codec that can reach a socket is no codec, and the hub has none.
    split("http http2 ws access hub inbound", pure)
    for (i in pure)
        socketless[pure[i]] = 1
}

function fail(text) {
    print FILENAME ":" FNR ": " text
    bad = 1
}

function allowed(from, to, header) {
    return from == to || index(" " may[from] " ", " " to " ") ||
        index(" " may[from] " ", " " to "/" room_of(header) " ") ||
        index(" " may[from] " ", " " header " ")
}

# The room of a path that begins with its layer: empty for a file beside the rooms.
function room_of(path,    part) {
    return split(path, part, "/") > 2 ? part[2] : ""
}

# Whether a file of room `from` may include one of room `to`, in a layer with rooms. What drives a
# whole layer for tests lies beside the rooms, for tests of all of them.
function room_allowed(layer, from, to, target) {
    if (FILENAME ~ /_test\.c$/ && target ~ /\/testing[a-z_]*\.h$/)
        return 1
    return from == "" || from == to || (to != "" && index(" " rooms[layer "/" from] " ", " " to " "))
}

FNR == 1 {
    split(FILENAME, path, "/")
    layer = path[2]
    room = room_of(substr(FILENAME, 5))
    if (has_rooms[layer] && room != "" && !((layer "/" room) in rooms))
        fail("src/" layer "/" room " is no room of " layer)
    if (!(layer in may))
        fail("src/" layer " is no layer")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    target = quoted[2]
    if (target !~ /^[a-z0-9_]+\// || target ~ /\.\./)
        fail("name the layer: #include \"" layer "/" target "\"")
    else {
        split(target, to, "/")
        if (!allowed(layer, to[1], target))
            fail(layer " may not include " target " (it may use: " may[layer] ")")
        else if (has_rooms[layer] && layer == to[1] && !room_allowed(layer, room, room_of(target), target))
            fail("room " room " may not include " target " (it may use: " rooms[layer "/" room] ")")
    }
}

/^[ \t]*#[ \t]*include[ \t]*<(sys\/(socket|epoll|eventfd|un)|netinet\/|arpa\/|netdb|liburing)/ {
    if (layer in socketless)
        fail(layer " has no sockets")
}

END { exit bad }
'
