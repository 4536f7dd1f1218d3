#include "webhooks/endpoint/inside.h"

#include "base/json_writer.h"

#include <stdlib.h>

/* A request that was received and is not answered yet. `call->easy` names it, as it names the
 * handle of a request by libcurl. */
struct receipt {
    struct publish publish;
    struct call *call; /* NULL once it was broken off */
};

static void received(struct publish *publish, struct batch *batch)
{
    struct receipt *receipt = container_of(publish, struct receipt, publish);
    struct call *call = receipt->call;
    (void)batch;
    bool refused = publish->verdict;
    free(receipt);
    if (!call)
        return;
    call->easy = NULL;
    call->status = refused ? 503 : 201;
    call_end(call);
}

/* "Name: value" as a member. Names that come twice, as those of signatures, are told twice. A name
 * without a value tells curl to send no such header. */
static void write_header(struct json_writer *writer, const char *line)
{
    struct str rest = str_from(line), name = str_cut(&rest, ':'), value = str_trim(rest);
    if (!value.len)
        return;
    json_array_begin(writer);
    json_add_string(writer, name);
    json_add_string(writer, value);
    json_array_end(writer);
}

static void write_request(struct buf *out, const struct call_request *request)
{
    struct json_writer writer = json_writer(out);
    json_object_begin(&writer);
    json_member_string(&writer, "method", STR("POST"));
    json_name(&writer, "headers");
    json_array_begin(&writer);
    for (const struct curl_slist *header = request->headers; header; header = header->next)
        write_header(&writer, header->data);
    json_array_end(&writer);
    json_member_bytes(&writer, "body", request->body);
    json_object_end(&writer);
}

static bool publish(struct courier *courier, struct receipt *receipt,
                    const struct call_request *request)
{
    const struct publisher server = {.is_server = true, .access = ACCESS_OF_SERVER};
    struct buf channel = {0}, data = {0};
    struct refusal refusal;
    buf_add_str(&channel, str_skip(str_from(request->url), sizeof(ROW_INSIDE) - 1));
    buf_add_lit(&channel, "/received");
    write_request(&data, request);
    const struct proposal proposal = {.channel = buf_str(&channel),
                                      .type = STR("request"),
                                      .data = buf_str(&data),
                                      .kind = EVENT_JSON,
                                      .is_checked = true};
    bool good =
        !buf_failed(&channel) && !buf_failed(&data) &&
        submit_proposal(&courier->submitter, &server, &proposal, &receipt->publish, &refusal);
    submitter_flush(&courier->submitter);
    buf_free(&channel);
    buf_free(&data);
    return good;
}

static int start(struct client *client, struct call *call, const struct call_request *request)
{
    struct courier *courier = container_of(client, struct courier, inside);
    struct receipt *receipt = mem_try_alloc(sizeof(*receipt));
    if (receipt)
        *receipt = (struct receipt){.publish = {.done = received}, .call = call};
    bool good = receipt && publish(courier, receipt, request);
    curl_slist_free_all(request->headers);
    call->easy = good ? receipt : NULL;
    if (!good)
        free(receipt);
    return good ? 0 : -1;
}

static void stop(struct call *call)
{
    struct receipt *receipt = call->easy;
    if (receipt)
        receipt->call = NULL;
    call->easy = NULL;
}

void inside_init(struct courier *courier)
{
    static const struct client_ops ops = {start, stop};
    courier->inside = (struct client){.ops = &ops, .loop = &courier->loop};
}

struct client *inside_client(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    return row_is_inside(&endpoint->row) ? &courier->inside : &courier->client;
}
