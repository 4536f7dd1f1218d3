/* The document is written in one walk over the tasks. Operations of the same path stand in
 * different tasks (POST and GET of a channel), and OpenAPI wants them in one object: so the walk
 * begins a path at its first operation, and looks for all others then. There are some fifty
 * operations, and the document is made once, so nothing is indexed.
 *
 * The server's address is relative ("/"), as in the links of all answers: a client that got the
 * document resolves it by the address from which it came, whatever proxies are in between. */
#include "api/describe/openapi.h"

#include "api/describe/schema.h"

#include <stdio.h>

/* ---- parameters ------------------------------------------------------------------------------ */

static void write_refs(struct json_writer *writer, const char *list)
{
    struct str words = str_from(list ? list : ""), word;
    while (schema_next_word(&words, &word))
        schema_write_ref(writer, "parameters", word);
}

/* The parameters of the path are its segments in braces. */
static void write_path_parameters(struct json_writer *writer, const char *path)
{
    struct str rest = str_from(path);
    while (rest.at) {
        struct str segment = str_cut(&rest, '/');
        if (segment.len > 2 && segment.at[0] == '{')
            schema_write_ref(writer, "parameters", (struct str){segment.at + 1, segment.len - 2});
    }
}

static bool is_among(const char *list, struct str name)
{
    struct str words = str_from(list ? list : ""), word;
    while (schema_next_word(&words, &word))
        if (str_eq(word, name))
            return true;
    return false;
}

static void write_example(struct json_writer *writer, const struct parameter *parameter)
{
    struct str example = str_from(parameter->example);
    json_name(writer, "example");
    if (parameter->repeats)
        json_array_begin(writer);
    if (parameter->kind == PARAMETER_NUMBER)
        json_add_raw(writer, example);
    else
        json_add_string(writer, example);
    if (parameter->repeats)
        json_array_end(writer);
}

static void write_parameter(struct json_writer *writer, const struct operation *operation,
                            const struct parameter *parameter)
{
    struct buf words = {0};
    schema_add_words(&words, operation->query, parameter);
    json_object_begin(writer);
    json_member_string(writer, "name", parameter->name);
    json_member_string(writer, "in", STR("query"));
    if (is_among(operation->required, parameter->name))
        json_member_bool(writer, "required", true);
    json_member_string(writer, "description", buf_str(&words));
    json_name(writer, "schema");
    schema_write_parameter(writer, parameter);
    if (parameter->example)
        write_example(writer, parameter);
    json_object_end(writer);
    writer->out->failed |= buf_failed(&words);
    buf_free(&words);
}

static void write_parameters(struct json_writer *writer, const struct operation *operation)
{
    struct parameter_table table = {NULL, 0};
    if (operation->query)
        table = operation->query->table();
    json_name(writer, "parameters");
    json_array_begin(writer);
    write_path_parameters(writer, operation->path);
    for (size_t i = 0; i < table.count; i++)
        write_parameter(writer, operation, &table.rows[i]);
    write_refs(writer, operation->headers);
    json_array_end(writer);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static bool is_items(const char *media)
{
    return !strcmp(media, "application/x-ndjson") || !strcmp(media, "text/event-stream");
}

/* A page has the events themselves, or with format=data their data alone. */
static void write_schema(struct json_writer *writer, const char *schema)
{
    if (strcmp(schema, "Page") != 0) {
        schema_write_ref(writer, "schemas", str_from(schema));
        return;
    }
    json_object_begin(writer);
    json_name(writer, "anyOf");
    json_array_begin(writer);
    schema_write_ref(writer, "schemas", STR("Page"));
    schema_write_ref(writer, "schemas", STR("DataPage"));
    json_array_end(writer);
    json_object_end(writer);
}

static void write_media(struct json_writer *writer, const char *media, const char *schema,
                        bool is_stream)
{
    json_name(writer, media);
    json_object_begin(writer);
    if (schema) {
        json_name(writer, is_stream || is_items(media) ? "itemSchema" : "schema");
        write_schema(writer, schema);
    }
    json_object_end(writer);
}

static void write_request_body(struct json_writer *writer, const struct operation *operation)
{
    if (!operation->bodies[0].media)
        return;
    json_name(writer, "requestBody");
    json_object_begin(writer);
    json_member_bool(writer, "required", !operation->may_lack_body);
    json_name(writer, "content");
    json_object_begin(writer);
    for (size_t i = 0; i < OPERATION_BODIES_MAX && operation->bodies[i].media; i++)
        write_media(writer, operation->bodies[i].media, operation->bodies[i].schema, false);
    json_object_end(writer);
    json_object_end(writer);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void write_headers(struct json_writer *writer, const char *list)
{
    struct str words = str_from(list), word;
    json_name(writer, "headers");
    json_object_begin(writer);
    while (schema_next_word(&words, &word)) {
        schema_name(writer, word);
        schema_write_ref(writer, "headers", word);
    }
    json_object_end(writer);
}

static void write_status(struct json_writer *writer, int status)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", status);
    json_name(writer, text);
}

/* Writes the rows of one status; returns how many they are. */
static size_t write_answer(struct json_writer *writer, const struct operation_answer *rows,
                           size_t left)
{
    size_t count = 1;
    while (count < left && rows[count].status == rows[0].status)
        count++;
    write_status(writer, rows[0].status);
    json_object_begin(writer);
    json_member_string(writer, "description", str_from(rows[0].says));
    if (rows[0].headers)
        write_headers(writer, rows[0].headers);
    if (rows[0].media) {
        json_name(writer, "content");
        json_object_begin(writer);
        for (size_t i = 0; i < count; i++)
            write_media(writer, rows[i].media, rows[i].schema, rows[i].is_stream);
        json_object_end(writer);
    }
    json_object_end(writer);
    return count;
}

/* ---- problems -------------------------------------------------------------------------------- */

static bool has_problem(uint64_t problems, unsigned i, int status)
{
    return problems & UINT64_C(1) << i && (!status || problem_status((enum problem)i) == status);
}

/* "bad-channel: The channel name is not valid. bad-key: …" */
static void write_problem_words(struct json_writer *writer, uint64_t problems, int status)
{
    struct buf words = {0};
    for (unsigned i = 0; i < PROBLEM_COUNT; i++)
        if (has_problem(problems, i, status))
            buf_addf(&words, "%s`%.*s`: %.*s.", words.len ? " " : "",
                     STR_FMT(problem_slug((enum problem)i)),
                     STR_FMT(problem_title((enum problem)i)));
    json_member_string(writer, "description", buf_str(&words));
    writer->out->failed |= buf_failed(&words);
    buf_free(&words);
}

static void write_types(struct json_writer *writer, struct str base, uint64_t problems, int status)
{
    struct buf type = {0};
    json_name(writer, "enum");
    json_array_begin(writer);
    for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
        if (!has_problem(problems, i, status))
            continue;
        buf_clear(&type);
        problem_add_type(&type, base, (enum problem)i);
        json_add_string(writer, buf_str(&type));
    }
    json_array_end(writer);
    writer->out->failed |= buf_failed(&type);
    buf_free(&type);
}

/* A problem document whose type is one of these. Raw braces would not say less: allOf [Problem,
 * {properties: {type: {enum: …}}}]. */
static void write_problem_schema(struct json_writer *writer, struct str base, uint64_t problems,
                                 int status)
{
    json_object_begin(writer);
    json_name(writer, "allOf");
    json_array_begin(writer);
    schema_write_ref(writer, "schemas", STR("Problem"));
    json_object_begin(writer);
    json_name(writer, "properties");
    json_object_begin(writer);
    json_name(writer, "type");
    json_object_begin(writer);
    write_types(writer, base, problems, status);
    json_object_end(writer);
    json_object_end(writer);
    json_object_end(writer);
    json_array_end(writer);
    json_object_end(writer);
}

/* The value of an answer with one of these problems; `status` 0: of any. */
static void write_problem_answer(struct json_writer *writer, struct str base, uint64_t problems,
                                 int status)
{
    json_object_begin(writer);
    write_problem_words(writer, problems, status);
    json_name(writer, "content");
    json_object_begin(writer);
    json_name(writer, "application/problem+json");
    json_object_begin(writer);
    json_name(writer, "schema");
    write_problem_schema(writer, base, problems, status);
    json_object_end(writer);
    json_object_end(writer);
    json_object_end(writer);
}

/* Problems of the operation, an answer for each status, with those of all requests that have the
 * same status. The rest of those is the default answer. */
static void write_problems(struct json_writer *writer, struct str base, uint64_t own)
{
    unsigned seen[PROBLEM_COUNT], count = 0;
    for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
        unsigned status = (unsigned)problem_status((enum problem)i), k = 0;
        while (k < count && seen[k] != status)
            k++;
        if (!has_problem(own, i, 0) || k < count)
            continue;
        seen[count++] = status;
        write_status(writer, (int)status);
        write_problem_answer(writer, base, own | problems_of_all, (int)status);
    }
    json_name(writer, "default");
    schema_write_ref(writer, "responses", STR("Problem"));
}

static void write_responses(struct json_writer *writer, struct str base,
                            const struct operation *operation)
{
    const struct operation_answer *rows = operation->answers;
    json_name(writer, "responses");
    json_object_begin(writer);
    for (size_t i = 0; i < OPERATION_ANSWERS_MAX && rows[i].status;)
        i += write_answer(writer, rows + i, OPERATION_ANSWERS_MAX - i);
    write_problems(writer, base, operation->problems);
    json_object_end(writer);
}

/* ---- operations ------------------------------------------------------------------------------ */

static const char *method_name(enum http_method method)
{
    static const char *const names[HTTP_OTHER] = {
        [HTTP_GET] = "get",     [HTTP_POST] = "post",     [HTTP_PUT] = "put",
        [HTTP_PATCH] = "patch", [HTTP_DELETE] = "delete",
    };
    return names[method];
}

/* The action that the route takes, and no credential where it takes none. */
static void write_access(struct json_writer *writer, const struct operation *operation)
{
    const struct api_route *route = operation_route(operation);
    const struct api_demand *demand = route ? api_demand_of(route, operation->method) : NULL;
    bool is_open = !demand || demand->demand == DEMANDS_NOTHING || demand->demand == DEMANDS_PROOF;
    if (!is_open) {
        json_member_string(writer, "x-access", str_from(action_word(demand->action)));
        return;
    }
    json_name(writer, "security");
    json_array_begin(writer);
    json_array_end(writer);
}

static void write_sample(struct json_writer *writer, const char *curl)
{
    json_name(writer, "x-codeSamples");
    json_array_begin(writer);
    json_object_begin(writer);
    json_member_string(writer, "lang", STR("Shell"));
    json_member_string(writer, "label", STR("curl"));
    json_member_string(writer, "source", str_from(curl));
    json_object_end(writer);
    json_array_end(writer);
}

static void write_operation(struct json_writer *writer, struct str base, const struct task *task,
                            const struct operation *operation)
{
    json_name(writer, method_name(operation->method));
    json_object_begin(writer);
    json_name(writer, "tags");
    json_array_begin(writer);
    json_add_string(writer, str_from(task->name));
    json_array_end(writer);
    json_member_string(writer, "operationId", str_from(operation->id));
    json_member_string(writer, "summary", str_from(operation->summary));
    if (operation->doc)
        json_member_string(writer, "description", str_from(operation->doc));
    write_access(writer, operation);
    write_parameters(writer, operation);
    write_request_body(writer, operation);
    write_responses(writer, base, operation);
    write_sample(writer, operation->curl);
    json_object_end(writer);
}

/* Whether the operation is the first of its path. */
static bool is_first(const struct operation *wanted)
{
    for (size_t t = 0; tasks[t]; t++)
        for (size_t i = 0; i < tasks[t]->count; i++)
            if (!strcmp(tasks[t]->operations[i].path, wanted->path))
                return &tasks[t]->operations[i] == wanted;
    return false;
}

static void write_path(struct json_writer *writer, struct str base, const char *path)
{
    schema_name(writer, str_from(path));
    json_object_begin(writer);
    for (size_t t = 0; tasks[t]; t++)
        for (size_t i = 0; i < tasks[t]->count; i++)
            if (!strcmp(tasks[t]->operations[i].path, path))
                write_operation(writer, base, tasks[t], &tasks[t]->operations[i]);
    json_object_end(writer);
}

static void write_paths(struct json_writer *writer, struct str base)
{
    json_name(writer, "paths");
    json_object_begin(writer);
    for (size_t t = 0; tasks[t]; t++)
        for (size_t i = 0; i < tasks[t]->count; i++)
            if (is_first(&tasks[t]->operations[i]))
                write_path(writer, base, tasks[t]->operations[i].path);
    json_object_end(writer);
}

/* ---- the document ---------------------------------------------------------------------------- */

static void write_info(struct json_writer *writer)
{
    json_name(writer, "info");
    json_object_begin(writer);
    json_member_string(writer, "title", STR("freshet"));
    json_member_string(writer, "summary", STR("Publish an event once: it reaches every consumer."));
    json_member_string(
        writer, "description",
        STR("One log, one cursor, four mechanisms: streams, long-polling, WebSocket and webhooks. "
            "WebSockets are described by AsyncAPI: see /asyncapi.json. Clients must ignore fields "
            "that they do not know. The server ignores nothing: it refuses a parameter that is "
            "not listed, except for names that begin with _ or utm_."));
    json_member_string(writer, "version", STR(FRESHET_VERSION));
    json_object_end(writer);
}

void openapi_add_servers(struct buf *out, struct str origin)
{
    struct json_writer writer = json_members_writer(out);
    json_name(&writer, "servers");
    json_array_begin(&writer);
    json_object_begin(&writer);
    json_member_string(&writer, "url", origin);
    json_member_string(&writer, "description", STR("The server that you have this from."));
    json_object_end(&writer);
    json_array_end(&writer);
}

static void write_tags(struct json_writer *writer)
{
    json_name(writer, "tags");
    json_array_begin(writer);
    for (size_t t = 0; tasks[t]; t++) {
        json_object_begin(writer);
        json_member_string(writer, "name", str_from(tasks[t]->name));
        json_member_string(writer, "description", str_from(tasks[t]->doc));
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void write_components(struct json_writer *writer, struct str base)
{
    json_name(writer, "components");
    json_object_begin(writer);
    json_member_raw(writer, "schemas", describe_schemas);
    json_member_raw(writer, "parameters", describe_parameters);
    json_member_raw(writer, "headers", describe_headers);
    json_member_raw(writer, "securitySchemes", describe_security);
    json_name(writer, "responses");
    json_object_begin(writer);
    json_name(writer, "Problem");
    write_problem_answer(writer, base, problems_of_all, 0);
    json_object_end(writer);
    json_object_end(writer);
}

/* Any of the schemes, or none: without access rules, and where anybody may do it. */
static void write_security(struct json_writer *writer)
{
    static const char *const schemes[] = {"bearer", "basic", "token"};
    json_name(writer, "security");
    json_array_begin(writer);
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        json_object_begin(writer);
        json_name(writer, schemes[i]);
        json_array_begin(writer);
        json_array_end(writer);
        json_object_end(writer);
    }
    json_object_begin(writer);
    json_object_end(writer);
    json_array_end(writer);
}

void openapi_make(struct openapi *ret, struct str base)
{
    *ret = (struct openapi){.front = {0}};
    struct json_writer writer = json_writer(&ret->front);
    json_object_begin(&writer);
    json_member_string(&writer, "openapi", STR("3.2.0"));
    write_info(&writer);
    buf_add_char(&ret->front, ','); /* the servers are members that follow */
    writer.out = &ret->back;
    write_tags(&writer);
    write_paths(&writer, base);
    json_member_raw(&writer, "webhooks", describe_webhooks);
    write_components(&writer, base);
    write_security(&writer);
    json_object_end(&writer);
    buf_add_char(&ret->back, '\n');
    ret->back.failed |= buf_failed(&ret->front);
}

void openapi_free(struct openapi *openapi)
{
    buf_free(&openapi->front);
    buf_free(&openapi->back);
}
