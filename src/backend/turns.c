#include "backend/turns.h"

#include "net/peer.h"

#include <stdlib.h>
#include <string.h>

static struct str host_of(const struct turns_site *site)
{
    return (struct str){site->host, site->host_len};
}

static struct str key_of(const struct turns_address *address)
{
    return (struct str){(const char *)&address->key, sizeof(address->key)};
}

static bool site_is(const struct map_node *node, struct str key)
{
    return str_eq(host_of(container_of(node, struct turns_site, node)), key);
}

static bool address_is(const struct map_node *node, struct str key)
{
    return str_eq(key_of(container_of(node, struct turns_address, node)), key);
}

void turns_init(struct turns *turns)
{
    *turns = (struct turns){.sent = 0};
    map_init(&turns->sites, site_is);
    map_init(&turns->addresses, address_is);
    list_init(&turns->waiting);
}

void turns_deinit(struct turns *turns)
{
    map_deinit(&turns->sites);
    map_deinit(&turns->addresses);
}

/* ---- sites and addresses --------------------------------------------------------------------- */

/* Host and port, as the URL writes them. A path or a scheme of its own makes no other site: what is
 * slow is the machine behind them. */
static struct str site_of(struct str url)
{
    const char *scheme_end = memmem(url.at, url.len, "://", 3);
    struct str rest = scheme_end ? str_skip(url, (size_t)(scheme_end - url.at) + 3) : url;
    size_t len = 0;
    while (len < rest.len && !strchr("/?#", rest.at[len]))
        len++;
    size_t begin = len;
    while (begin && rest.at[begin - 1] != '@')
        begin--;
    return (struct str){rest.at + begin, len - begin};
}

static struct turns_site *find_site(struct turns *turns, struct str host)
{
    struct map_node *node = map_find(&turns->sites, host);
    if (node)
        return container_of(node, struct turns_site, node);
    struct turns_site *site = mem_alloc(sizeof(*site) + host.len);
    *site = (struct turns_site){.number = ++turns->numbers, .host_len = host.len};
    memcpy(site->host, host.at, host.len);
    list_init(&site->addresses);
    map_add(&turns->sites, &site->node, host);
    return site;
}

static struct turns_address *find_address(struct turns *turns, struct turns_site *site,
                                          uint64_t peer)
{
    const struct turns_address wanted = {.key = {site->number, peer}};
    struct map_node *node = map_find(&turns->addresses, key_of(&wanted));
    if (node)
        return container_of(node, struct turns_address, node);
    struct turns_address *address = mem_alloc(sizeof(*address));
    *address = wanted;
    address->site = site;
    site->addresses_count++;
    list_init(&address->questions);
    map_add(&turns->addresses, &address->node, key_of(address));
    return address;
}

static void drop_if_idle(struct turns *turns, struct turns_address *address)
{
    struct turns_site *site = address->site;
    if (address->questions_count)
        return;
    map_remove(&turns->addresses, &address->node);
    free(address);
    if (--site->addresses_count)
        return;
    map_remove(&turns->sites, &site->node);
    free(site);
}

/* ---- questions ------------------------------------------------------------------------------- */

void turns_add(struct turns *turns, struct turn *turn, struct str url, uint64_t peer)
{
    struct turns_site *site = find_site(turns, site_of(url));
    turn->address = find_address(turns, site, peer);
    turn->address->questions_count++;
    list_add_last(&turn->address->questions, &turn->list);
    if (!list_linked(&turn->address->list))
        list_add_last(&site->addresses, &turn->address->list);
    if (!list_linked(&site->list))
        list_add_last(&turns->waiting, &site->list);
}

/* Takes the question out of those that wait. Its address and its site leave the lists of those
 * whose turn comes, if nothing else waits there. */
static void stop_waiting(struct turn *turn)
{
    struct turns_address *address = turn->address;
    list_remove(&turn->list);
    if (list_empty(&address->questions))
        list_remove(&address->list);
    if (list_empty(&address->site->addresses))
        list_remove(&address->site->list);
}

static void move_last(struct list *head, struct list *node)
{
    if (!list_linked(node))
        return;
    list_remove(node);
    list_add_last(head, node);
}

/* Sends the oldest question of the address, which has had its turn then, as has the site. */
static struct turn *send_first(struct turns *turns, struct turns_address *address)
{
    struct turns_site *site = address->site;
    struct turn *turn = container_of(address->questions.next, struct turn, list);
    stop_waiting(turn);
    move_last(&site->addresses, &address->list);
    move_last(&turns->waiting, &site->list);
    address->sent++;
    site->sent++;
    turns->sent++;
    return turn;
}

static bool may_send(const struct turns_address *address, const struct turns_limits *limits)
{
    return address->key.peer == PEER_NONE || address->sent < limits->address;
}

/* Addresses and sites that have all of their places keep their turn: those that follow are taken
 * before them until they have a place again. */
static struct turns_address *next_address(struct turns_site *site,
                                          const struct turns_limits *limits)
{
    if (site->sent >= limits->site)
        return NULL;
    list_each (&site->addresses, node) {
        struct turns_address *address = container_of(node, struct turns_address, list);
        if (may_send(address, limits))
            return address;
    }
    return NULL;
}

struct turn *turns_next(struct turns *turns, const struct turns_limits *limits)
{
    if (turns->sent >= limits->places)
        return NULL;
    list_each (&turns->waiting, node) {
        struct turns_site *site = container_of(node, struct turns_site, list);
        struct turns_address *address = next_address(site, limits);
        if (address)
            return send_first(turns, address);
    }
    return NULL;
}

void turns_remove(struct turns *turns, struct turn *turn)
{
    struct turns_address *address = turn->address;
    if (list_linked(&turn->list)) {
        stop_waiting(turn);
    } else {
        address->sent--;
        address->site->sent--;
        turns->sent--;
    }
    turn->address = NULL;
    address->questions_count--;
    drop_if_idle(turns, address);
}
