#include "subscribe/position.h"

#include "base/rfc3339.h"

bool position_read(struct position *position, struct str text)
{
    if (str_eq(text, STR("earliest")))
        position->kind = POSITION_EARLIEST;
    else if (str_eq(text, STR("now")))
        position->kind = POSITION_NOW;
    else if (event_id_read(text, &position->id))
        position->kind = POSITION_CURSOR;
    else if (!rfc3339_parse(text, &position->time_us))
        position->kind = POSITION_TIME;
    else
        return false;
    return true;
}
