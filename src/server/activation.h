/* Listening sockets that the service manager has opened for the server: systemd's protocol of
 * socket activation, sd_listen_fds(3).
 *
 * The manager binds the addresses before the server is started, keeps them open while it is
 * restarted, and needs no rights of the server for ports below 1024. The sockets are descriptors
 * from 3 on. LISTEN_PID says for which process they are, LISTEN_FDS how many they are, and
 * LISTEN_FDNAMES has their names, with a colon between two.
 *
 * A socket that an item of `listen` names is served as that item says. Without `listen` all sockets
 * are served, each as its name says: see activation_door(). config_adopt() decides that. */
#pragma once

#include "server/faults.h"
#include "server/listening.h"

/* The sockets, each with its address, its descriptor, and the door that its name says. */
struct activation {
    struct listen_address addresses[WORKER_LISTENERS_MAX];
    unsigned count;
};

/* Takes the sockets that are meant for this process, and removes the variables from the
 * environment. The sockets do not block, and no other program inherits them. Call it before
 * anything else opens a file. Returns 0, or -EINVAL with a fault for each socket that cannot be
 * served. */
int activation_take(struct activation *ret, struct faults *faults);

/* The door of a socket's name: `https`, `redirect`, `proxy+http` and `proxy+https` are as in
 * `listen`, `admin` is an address for management, as is any of them behind `admin+`. Every other
 * name is plain HTTP: systemd itself names a socket after its unit. */
uint8_t activation_door(struct str name);
