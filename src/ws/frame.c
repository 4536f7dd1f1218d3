#include "ws/frame.h"

#include <assert.h>

enum { BIT_FIN = 0x80, BIT_RSV1 = 0x40, BIT_MASK = 0x80 };

static size_t put_big_endian(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    return size;
}

/* Writes `len` in the shortest form that holds it, as section 5.2 demands. */
static size_t put_length(uint8_t *at, uint64_t len)
{
    if (len <= 125) {
        at[0] = (uint8_t)len;
        return 1;
    }
    at[0] = len <= UINT16_MAX ? 126 : 127;
    return 1 + put_big_endian(at + 1, len, len <= UINT16_MAX ? 2 : 8);
}

size_t ws_frame_head(uint8_t ret[WS_HEAD_MAX], bool fin, bool rsv1, enum ws_opcode opcode,
                     uint64_t len, const uint8_t mask[4])
{
    ret[0] = (uint8_t)((fin ? BIT_FIN : 0) | (rsv1 ? BIT_RSV1 : 0) | (int)opcode);
    size_t size = 1 + put_length(ret + 1, len);
    if (!mask)
        return size;
    ret[1] |= BIT_MASK;
    memcpy(ret + size, mask, 4);
    return size + 4;
}

void ws_add_frame(struct buf *buf, bool fin, bool rsv1, enum ws_opcode opcode, struct str payload,
                  const uint8_t mask[4])
{
    assert(opcode < WS_CLOSE || payload.len <= WS_CONTROL_MAX);
    uint8_t head[WS_HEAD_MAX];
    size_t head_len = ws_frame_head(head, fin, rsv1, opcode, payload.len, mask);
    /* Room for head and payload at once: half a frame in a buffer would spoil all that follows. */
    if (!buf_reserve(buf, head_len + payload.len))
        return;
    buf_add(buf, head, head_len);
    buf_add_str(buf, payload);
    if (mask)
        ws_mask(buf->at + buf->len - payload.len, payload.len, mask);
}

static struct str cut_between_characters(struct str text, size_t max)
{
    if (text.len <= max)
        return text;
    while (max && ((unsigned char)text.at[max] & 0xc0) == 0x80)
        max--;
    return (struct str){text.at, max};
}

void ws_add_close(struct buf *buf, unsigned code, struct str reason, const uint8_t mask[4])
{
    char body[WS_CONTROL_MAX];
    if (code == WS_CLOSE_NONE) {
        ws_add_frame(buf, true, false, WS_CLOSE, STR_NONE, mask);
        return;
    }
    assert(ws_close_code_valid(code));
    reason = cut_between_characters(reason, WS_CLOSE_REASON_MAX);
    put_big_endian((uint8_t *)body, code, 2);
    if (reason.len)
        memcpy(body + 2, reason.at, reason.len);
    ws_add_frame(buf, true, false, WS_CLOSE, (struct str){body, 2 + reason.len}, mask);
}

bool ws_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

void ws_mask(char *bytes, size_t len, const uint8_t mask[4])
{
    uint64_t key;
    memcpy(&key, mask, 4);
    memcpy((char *)&key + 4, mask, 4);
    size_t i = 0;
    for (; i + sizeof(key) <= len; i += sizeof(key)) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof(word));
        word ^= key;
        memcpy(bytes + i, &word, sizeof(word));
    }
    for (; i < len; i++)
        bytes[i] = (char)(bytes[i] ^ (char)mask[i & 3]);
}
