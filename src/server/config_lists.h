/* Lists of the configuration file: addresses, hosts and origins, certificates, and times. */
#pragma once

#include "server/config_walk.h"

list_reader config_read_listen;
list_reader config_read_proxies; /* trusted_proxies */
list_reader config_read_hosts;
list_reader config_read_origins;
list_reader config_read_pairs;        /* tls.certificates */
list_reader config_read_schedule;     /* webhooks.schedule_ms */
list_reader config_read_allow;        /* webhooks.allow */
list_reader config_read_cert_hosts;   /* webhooks.cert_hosts */
list_reader config_read_access_allow; /* access.allow */
