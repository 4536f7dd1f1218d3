/* Messages to the service manager that started the server: systemd's sd_notify(3) protocol. */
#pragma once

/* Sends `state`, such as "READY=1", to the socket that the environment variable NOTIFY_SOCKET
 * names: a path, or an abstract name behind '@'. Returns 0, also without the variable, or a
 * negative errno. */
int notify_manager(const char *state);
