#include "base/environment.h"

#include <stdlib.h>

const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}
