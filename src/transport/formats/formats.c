#include "transport/formats/formats.h"

#include "http/body.h"

static const struct format *const rows[FORMATS_COUNT] = {
#define ROW(id, row) [FORMAT_##id] = &format_##row,
    FORMATS(ROW)
#undef ROW
};

const struct format *format_of(enum format_id id)
{
    return rows[id];
}

/* ---- encodings ------------------------------------------------------------------------------- */

enum { ID_MASK = 7, DATA = 8, CHUNKED = 16, WINDOW_SHIFT = 5 };

_Static_assert(FORMATS_COUNT <= ID_MASK + 1, "an encoding has three bits for its format");

unsigned encoding_of(enum format_id id, bool data, bool chunked, unsigned window_bits)
{
    const struct format *format = rows[id];
    bool is_data = !format->event || (data && format->data);
    return (unsigned)id | (is_data ? DATA : 0) | (chunked ? CHUNKED : 0) |
           window_bits << WINDOW_SHIFT;
}

enum format_id encoding_format(unsigned encoding)
{
    return (enum format_id)(encoding & ID_MASK);
}

bool encoding_tells_gaps(unsigned encoding)
{
    const struct format *format = rows[encoding & ID_MASK];
    return format->gap && (!(encoding & DATA) || format->data_tells_all);
}

/* ---- records --------------------------------------------------------------------------------- */

/* A record that is being written. */
struct record_out {
    struct format_out out;
    const struct format *format;
    size_t chunk;
};

static struct record_out begin(struct deflater *deflater, unsigned encoding, struct buf *out)
{
    return (struct record_out){
        .out = {out, deflater, encoding >> WINDOW_SHIFT},
        .format = rows[encoding & ID_MASK],
        .chunk = encoding & CHUNKED ? http_chunk_open(out) : 0,
    };
}

static void end(const struct record_out *record, unsigned encoding)
{
    if (encoding & CHUNKED)
        http_chunk_close(record->out.bytes, record->chunk);
}

void encode_event(void *context, unsigned encoding, struct buf *out, const struct event *event)
{
    struct record_out record = begin(context, encoding, out);
    if (encoding & DATA)
        record.format->data(&record.out, event);
    else
        record.format->event(&record.out, event);
    end(&record, encoding);
}

void encode_beat(struct deflater *deflater, unsigned encoding, struct buf *out, uint64_t cursor)
{
    struct record_out record = begin(deflater, encoding, out);
    if (record.format->beat)
        record.format->beat(&record.out, cursor);
    end(&record, encoding);
}

void encode_first(unsigned encoding, struct buf *out, const struct first_record *first)
{
    struct record_out record = begin(NULL, encoding, out);
    if (record.format->first)
        record.format->first(&record.out, first);
    else if (record.format->beat)
        record.format->beat(&record.out, first->cursor);
    end(&record, encoding);
}

void encode_gap(struct deflater *deflater, unsigned encoding, struct buf *out,
                const struct gap *gap)
{
    struct record_out record = begin(deflater, encoding, out);
    if (record.format->gap)
        record.format->gap(&record.out, gap);
    end(&record, encoding);
}

void encode_bye(struct deflater *deflater, unsigned encoding, struct buf *out,
                const struct goodbye *goodbye)
{
    struct record_out record = begin(deflater, encoding, out);
    if (record.format->bye)
        record.format->bye(&record.out, goodbye);
    end(&record, encoding);
}
