#include "api/root.h"

#include "api/answers.h"
#include "base/json_writer.h"

/* The access that each method takes: an action, `proof` of the sender, or `nothing`. */
static void write_demands(struct json_writer *writer, const struct api_route *route)
{
    static const char *const methods[HTTP_OTHER] = {[HTTP_GET] = "GET",
                                                    [HTTP_POST] = "POST",
                                                    [HTTP_PUT] = "PUT",
                                                    [HTTP_PATCH] = "PATCH",
                                                    [HTTP_DELETE] = "DELETE"};
    json_name(writer, "access");
    json_object_begin(writer);
    for (unsigned i = 0; i < HTTP_OTHER; i++) {
        const struct api_demand *demand = methods[i] ? api_demand_of(route, i) : NULL;
        if (!demand)
            continue;
        const char *word = demand->demand == DEMANDS_PROOF     ? "proof"
                           : demand->demand == DEMANDS_NOTHING ? "nothing"
                                                               : action_word(demand->action);
        json_member_string(writer, methods[i], str_from(word));
    }
    json_object_end(writer);
}

static void write_link(struct json_writer *writer, struct str base, const struct api_route *route)
{
    struct buf href = {0};
    buf_add_str(&href, base);
    buf_add_str(&href, str_from(route->path));
    json_object_begin(writer);
    json_member_string(writer, "href", buf_str(&href));
    json_member_string(writer, "path", str_from(route->path));
    json_member_string(writer, "title", str_from(route->doc));
    write_demands(writer, route);
    json_object_end(writer);
    writer->out->failed |= buf_failed(&href);
    buf_free(&href);
}

static void add_root_json(struct buf *body, struct str base)
{
    struct json_writer writer = json_writer(body);
    json_object_begin(&writer);
    json_member_string(&writer, "name", STR("freshet"));
    json_member_string(&writer, "version", STR(FRESHET_VERSION));
    json_name(&writer, "links");
    json_array_begin(&writer);
    for (size_t i = 0; i < api_routes_count; i++)
        write_link(&writer, base, &api_routes[i]);
    json_array_end(&writer);
    json_object_end(&writer);
    buf_add_char(body, '\n');
}

void root_handle(struct exchange *exchange, struct str rest)
{
    struct buf body = {0};
    (void)rest;
    add_root_json(&body, api_of(exchange)->base);
    api_answer(exchange, "application/json", &body);
}
