#include "client/cli/verb.h"

#include "base/command_line.h"
#include "base/unknown.h"

#include <errno.h>

int verb_refuse(const char *name, const char *known, struct buf *why)
{
    if (!name)
        return buf_refuse(why, "say a verb");
    if (command_line_is_help(name))
        return COMMAND_LINE_HELP;
    unknown_add_name(why, "verb", str_from(name), str_from(known));
    return -EINVAL;
}
