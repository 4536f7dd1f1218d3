#include "api/describe/operation.h"

const struct task *const tasks[] = {&task_publish,  &task_read,   &task_presence,
                                    &task_webhooks, &task_websub, &task_access,
                                    &task_watch,    &task_learn,  NULL};

const uint64_t problems_of_all =
    PROBLEM_BIT(BAD_REQUEST) | PROBLEM_BIT(BAD_PARAMETER) | PROBLEM_BIT(BAD_CODING) |
    PROBLEM_BIT(UNAUTHORIZED) | PROBLEM_BIT(BAD_CREDENTIAL) | PROBLEM_BIT(FORBIDDEN) |
    PROBLEM_BIT(FORBIDDEN_ORIGIN) | PROBLEM_BIT(FORBIDDEN_HOST) | PROBLEM_BIT(NOT_FOUND) |
    PROBLEM_BIT(METHOD_NOT_ALLOWED) | PROBLEM_BIT(TIMEOUT) | PROBLEM_BIT(TOO_LARGE) |
    PROBLEM_BIT(TARGET_TOO_LONG) | PROBLEM_BIT(EXPECTATION) | PROBLEM_BIT(HEAD_TOO_LARGE) |
    PROBLEM_BIT(TOO_MANY) | PROBLEM_BIT(INTERNAL) | PROBLEM_BIT(NOT_BUILT) |
    PROBLEM_BIT(UNAVAILABLE) | PROBLEM_BIT(VERSION);

const struct api_route *operation_route(const struct operation *operation)
{
    for (size_t i = 0; i < api_routes_count; i++)
        if (!strcmp(api_routes[i].path, operation->route))
            return &api_routes[i];
    return NULL;
}
