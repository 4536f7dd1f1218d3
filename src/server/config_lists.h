/* Lists of the configuration file: addresses, hosts and origins, certificates, and times. */
#pragma once

#include "server/config_walk.h"

/* Adds a fault if an item of `listen` that is there already has an address of this one: the kernel
 * would spread the connections over both, an address for management among them. True if none has.
 */
bool config_check_listen(const struct config *config, const struct listen_item *item,
                         const struct place *place, const char *name, struct faults *faults);

list_reader config_read_listen;
list_reader config_read_proxies; /* trusted_proxies */
list_reader config_read_hosts;
list_reader config_read_origins;
list_reader config_read_pairs;        /* tls.certificates */
list_reader config_read_schedule;     /* webhooks.schedule_ms */
list_reader config_read_allow;        /* webhooks.allow */
list_reader config_read_cert_hosts;   /* webhooks.cert_hosts */
list_reader config_read_access_allow; /* access.allow */
