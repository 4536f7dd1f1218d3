#include "webhooks/endpoint/request.h"

#include "base/say.h"
#include "webhooks/endpoint/shared.h"

#include <errno.h>

void request_answer(struct courier_request *request)
{
    if (buf_failed(&request->answer)) {
        request->fault = COURIER_E_NOW;
        request->detail = "no memory: try again";
    }
    /* Releases the key, so that another request may create under it. */
    if (request->creates)
        map_remove(&request->courier->creating, &request->in_keys);
    request->creates = false;
    mailbox_post(request->reply, &request->reply_mail);
}

void request_refuse(struct courier_request *request, enum courier_fault fault, const char *detail)
{
    request->fault = fault;
    request->detail = detail;
    request_answer(request);
}

void request_refuse_store(struct courier_request *request, int result)
{
    say(SAY_WARN, "webhook_not_kept", "error=%d", -result);
    if (result == REGISTRY_E_FATE_UNKNOWN)
        request_refuse(request, COURIER_E_FATE,
                       "the store failed, and the change may have been stored: read the webhook "
                       "before you repeat the request");
    else if (result == -ENOSPC)
        request_refuse(request, COURIER_E_SPACE, "the disk is full: nothing was changed");
    else
        request_refuse(request, COURIER_E_NOW,
                       "the store cannot be written: nothing was changed; try again");
}

void requests_reopen(struct courier *courier, struct list *waiting)
{
    struct list all = LIST_INIT(all);
    list_take_all(&all, waiting);
    for (struct list *node; (node = list_take_first(&all));)
        /* Queue them again if the first of them makes the endpoint busy. */
        mailbox_post(&courier->loop.mailbox,
                     &container_of(node, struct courier_request, waiting)->mail);
}

void courier_submit(struct courier *courier, struct courier_request *request)
{
    request->mail.open = courier->open_request;
    mailbox_post(&courier->loop.mailbox, &request->mail);
}
