#include "api/configuration.h"

#include "api/answers.h"
#include "api/api.h"

void configuration_handle(struct exchange *exchange, struct str rest)
{
    struct str text = api_of(exchange)->configuration;
    (void)rest;
    if (text.len)
        exchange_json(exchange, 200, text);
    else
        api_problem(exchange, PROBLEM_UNAVAILABLE, "there was no memory to tell the configuration");
}
