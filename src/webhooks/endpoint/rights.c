#include "webhooks/endpoint/rights.h"

#include "webhooks/endpoint/spec.h"

static enum courier_fault fault_of(enum access_verdict verdict)
{
    switch (verdict) {
    case ACCESS_NO_CREDENTIAL:
        return COURIER_E_UNKNOWN;
    case ACCESS_EXPIRED:
        return COURIER_E_ENDED;
    case ACCESS_ELSEWHERE:
        return COURIER_E_MISSING;
    default:
        return COURIER_E_GRANT;
    }
}

/* The refusal names the channel, which the asker has named before. */
static bool refuse(struct courier_request *request, enum access_verdict verdict, enum action action,
                   struct str term)
{
    struct refusal refusal = access_refusal_of(&request->access, verdict, action, term);
    buf_clear(&request->why);
    buf_add_str(&request->why, term);
    request->may = buf_failed(&request->why) ? NULL : refusal.may;
    request_refuse(request, fault_of(verdict), refusal.detail);
    return false;
}

static bool allow(struct courier_request *request, struct str term)
{
    static const enum action actions_needed[] = {ACTION_WEBHOOKS, ACTION_READ};
    for (size_t i = 0; i < sizeof(actions_needed) / sizeof(actions_needed[0]); i++) {
        enum action action = actions_needed[i];
        enum access_verdict verdict = access_decide(&request->access, action, term);
        if (!verdict)
            continue;
        (void)access_translate(&action, &term);
        return refuse(request, verdict, action, term);
    }
    return true;
}

static bool allow_all(struct courier_request *request, const struct str *terms, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!allow(request, terms[i]))
            return false;
    return true;
}

bool rights_allow(struct courier_request *request, const char *channels)
{
    struct selection *selection = spec_selection(channels, "[]");
    if (!selection) {
        request_refuse(request, COURIER_E_NOW, "no memory: try again");
        return false;
    }
    bool allowed = allow_all(request, selection->names, selection->names_count) &&
                   allow_all(request, selection->patterns, selection->patterns_count);
    selection_unref(selection);
    return allowed;
}

bool rights_allow_channel(struct courier_request *request, struct str channel)
{
    return allow(request, channel);
}

static bool reach_all(const struct courier_request *request, const struct str *terms, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (access_decide(&request->access, ACTION_WEBHOOKS, terms[i]))
            return false;
    return true;
}

bool rights_reach(const struct courier_request *request, const struct endpoint *endpoint)
{
    const struct selection *selection = endpoint->made.selection;
    return reach_all(request, selection->names, selection->names_count) &&
           reach_all(request, selection->patterns, selection->patterns_count);
}
