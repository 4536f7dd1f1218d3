/* An intrusive doubly linked list: a node costs two pointers and no allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

/* The head of a list is a node of its own; an element that is in no list has next == NULL. */
struct list {
    struct list *next;
    struct list *prev;
};

#define LIST_INIT(head) ((struct list){&(head), &(head)})

static inline void list_init(struct list *head)
{
    *head = (struct list){head, head};
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_linked(const struct list *node)
{
    return node->next != NULL;
}

static inline void list_insert_before(struct list *place, struct list *node)
{
    node->prev = place->prev;
    node->next = place;
    place->prev->next = node;
    place->prev = node;
}

static inline void list_add_last(struct list *head, struct list *node)
{
    list_insert_before(head, node);
}

static inline void list_add_first(struct list *head, struct list *node)
{
    list_insert_before(head->next, node);
}

/* Takes a node out of its list, if it is in one. */
static inline void list_remove(struct list *node)
{
    if (!node->next)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}

/* Takes out the first node and returns it; NULL if the list is empty. */
static inline struct list *list_take_first(struct list *head)
{
    struct list *node = head->next;
    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

/* Moves all of `from` behind the last of `to`. */
static inline void list_take_all(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    /* The analyzer loses sight of a loop of list_take_first(): the nodes of a list are never NULL.
     */
    from->next->prev = to->prev; /* NOLINT(clang-analyzer-core.NullDereference) */
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* Moves the nodes of `from` that stand before `end` behind the last of `to`. `end` is a node of
 * `from`, or `from` itself to move all. */
static inline void list_take_until(struct list *to, struct list *from, struct list *end)
{
    struct list *first = from->next, *last = end->prev;
    if (first == end)
        return;
    from->next = end;
    end->prev = from;
    first->prev = to->prev;
    to->prev->next = first;
    last->next = to;
    to->prev = last;
}

/* Walks the list. The current node may be removed meanwhile, the next one may not. */
#define list_each(head, node)                                                                      \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);              \
         node = node##_next, node##_next = node->next)
