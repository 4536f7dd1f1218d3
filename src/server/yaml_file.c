#include "server/yaml_file.h"

#include "base/mem.h"
#include "server/read_file.h"

#include <errno.h>
#include <stdlib.h>
#include <yaml.h>

struct yaml_file {
    const char *path;
    yaml_document_t document;
};

/* ---- reading --------------------------------------------------------------------------------- */

static int refuse(struct faults *faults, const char *path, size_t line, const char *sentence)
{
    struct place place = {path, line};
    faults_add(faults, &place, "", "%s", sentence);
    return -EINVAL;
}

static int refuse_syntax(struct faults *faults, const char *path, const yaml_parser_t *parser)
{
    const char *problem = parser->problem ? parser->problem : "there is no memory";
    struct place place = {path, parser->problem_mark.line + 1};
    if (parser->context)
        faults_add(faults, &place, "", "is not YAML: %s %s", parser->context, problem);
    else
        faults_add(faults, &place, "", "is not YAML: %s", problem);
    return -EINVAL;
}

/* The deepest setting has six levels, and a file needs an anchor for each text that it repeats. */
enum { DEPTH_MAX = 32, ANCHORS_MAX = 1000 };

/* The parts of a file that make the parser slow, as counted so far. */
struct bulk {
    unsigned depth, anchors;
};

static void count_event(struct bulk *bulk, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SEQUENCE_START_EVENT:
        bulk->depth++;
        bulk->anchors += event->data.sequence_start.anchor != NULL;
        break;
    case YAML_MAPPING_START_EVENT:
        bulk->depth++;
        bulk->anchors += event->data.mapping_start.anchor != NULL;
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        bulk->depth--;
        break;
    case YAML_SCALAR_EVENT:
        bulk->anchors += event->data.scalar.anchor != NULL;
        break;
    default:
        break;
    }
}

/* Counts up to the end of the text, or to the place where it is too much. Returns that line. */
static size_t count_events(yaml_parser_t *parser, struct bulk *bulk)
{
    yaml_event_t event;
    size_t line = 0;
    bool goes_on = true;
    while (goes_on && yaml_parser_parse(parser, &event)) {
        count_event(bulk, &event);
        line = event.start_mark.line + 1;
        goes_on = event.type != YAML_STREAM_END_EVENT && bulk->depth <= DEPTH_MAX &&
                  bulk->anchors <= ANCHORS_MAX;
        yaml_event_delete(&event);
    }
    return line;
}

/* Refuses a text that would keep the parser busy for minutes: its time grows with the square of the
 * depth, and of the number of anchors. Mistakes of syntax are left to the loading. */
static int check_bulk(struct str text, const char *path, struct faults *faults)
{
    struct bulk bulk = {0};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return refuse(faults, path, 0, strerror(ENOMEM));
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.at, text.len);
    size_t line = count_events(&parser, &bulk);
    yaml_parser_delete(&parser);
    if (bulk.depth > DEPTH_MAX)
        return refuse(faults, path, line, "is nested deeper than 32 levels: no setting is");
    if (bulk.anchors > ANCHORS_MAX)
        return refuse(faults, path, line, "has more than 1000 anchors: write the texts themselves");
    return 0;
}

/* Refuses a file with anything behind its document. */
static int check_end(yaml_parser_t *parser, const char *path, struct faults *faults)
{
    yaml_document_t second;
    if (!yaml_parser_load(parser, &second))
        return refuse_syntax(faults, path, parser);
    const yaml_node_t *root = yaml_document_get_root_node(&second);
    size_t line = second.start_mark.line + 1;
    yaml_document_delete(&second);
    return root ? refuse(faults, path, line,
                         "a second document begins here: put all settings into one")
                : 0;
}

static int load(struct yaml_file *file, struct str text, struct faults *faults)
{
    yaml_parser_t parser;
    int result = check_bulk(text, file->path, faults);
    if (result)
        return result;
    if (!yaml_parser_initialize(&parser))
        return refuse(faults, file->path, 0, strerror(ENOMEM));
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.at, text.len);
    if (!yaml_parser_load(&parser, &file->document))
        result = refuse_syntax(faults, file->path, &parser);
    else if (yaml_document_get_root_node(&file->document))
        result = check_end(&parser, file->path, faults);
    else
        result = 0;
    yaml_parser_delete(&parser);
    return result;
}

_Static_assert(YAML_FILE_MAX == 4 << 20, "the sentence below says so");

/* Why the file could not be read. */
static const char *explain(int result)
{
    if (result == -ENOENT)
        return "there is no such file: `freshet init` writes one to begin with";
    if (result == -EFBIG)
        return "has more than 4 MiB: no configuration has";
    return read_file_explain(result);
}

int yaml_file_open(const char *path, struct yaml_file **ret_file, struct faults *faults)
{
    struct buf text = {0};
    int result = read_file(path, YAML_FILE_MAX, &text);
    if (result) {
        buf_free(&text);
        return refuse(faults, path, 0, explain(result));
    }
    struct yaml_file *file = mem_alloc(sizeof(*file));
    *file = (struct yaml_file){.path = path};
    result = load(file, text.len ? buf_str(&text) : STR(""), faults);
    buf_free(&text);
    if (result)
        yaml_file_free(file);
    else
        *ret_file = file;
    return result;
}

void yaml_file_free(struct yaml_file *file)
{
    if (file)
        yaml_document_delete(&file->document);
    free(file);
}

/* ---- looking --------------------------------------------------------------------------------- */

/* Does what yaml_document_get_node() does, for a const document: libyaml counts nodes from 1. */
static const yaml_node_t *node_of(struct yaml_value value)
{
    const yaml_document_t *document = &value.file->document;
    return value.node ? document->nodes.start + value.node - 1 : NULL;
}

struct yaml_value yaml_file_root(const struct yaml_file *file)
{
    bool is_empty = file->document.nodes.start == file->document.nodes.top;
    return (struct yaml_value){file, is_empty ? 0 : 1};
}

static bool is_nothing(const yaml_node_t *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    struct str text = {(const char *)node->data.scalar.value, node->data.scalar.length};
    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (str_eq(text, str_from(words[i])))
            return true;
    return false;
}

enum yaml_kind yaml_kind(struct yaml_value value)
{
    const yaml_node_t *node = node_of(value);
    if (!node || node->type == YAML_NO_NODE)
        return YAML_NOTHING;
    if (node->type == YAML_SEQUENCE_NODE)
        return YAML_LIST;
    if (node->type == YAML_MAPPING_NODE)
        return YAML_MAP;
    return is_nothing(node) ? YAML_NOTHING : YAML_TEXT;
}

struct place yaml_place(struct yaml_value value)
{
    const yaml_node_t *node = node_of(value);
    return (struct place){value.file->path, node ? node->start_mark.line + 1 : 1};
}

struct str yaml_text(struct yaml_value value)
{
    const yaml_node_t *node = node_of(value);
    return (struct str){(const char *)node->data.scalar.value, node->data.scalar.length};
}

size_t yaml_count(struct yaml_value value)
{
    const yaml_node_t *node = node_of(value);
    if (node && node->type == YAML_SEQUENCE_NODE)
        return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (node && node->type == YAML_MAPPING_NODE)
        return (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    return 0;
}

struct yaml_value yaml_item(struct yaml_value list, size_t n)
{
    return (struct yaml_value){list.file, node_of(list)->data.sequence.items.start[n]};
}

struct yaml_value yaml_key(struct yaml_value map, size_t n)
{
    return (struct yaml_value){map.file, node_of(map)->data.mapping.pairs.start[n].key};
}

struct yaml_value yaml_value_of(struct yaml_value map, size_t n)
{
    return (struct yaml_value){map.file, node_of(map)->data.mapping.pairs.start[n].value};
}
