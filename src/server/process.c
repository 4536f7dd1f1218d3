#include "server/process.h"

#include "base/environment.h"
#include "base/say.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

/* ---- another user ---------------------------------------------------------------------------- */

static bool read_id(const char *text, unsigned *ret)
{
    char *end;
    unsigned long id = strtoul(text, &end, 10);
    *ret = (unsigned)id;
    return *text >= '0' && *text <= '9' && !*end && id < UINT32_MAX;
}

/* The user, and its own group; by number, the group is the same number. */
static bool find_user(const char *name, uid_t *ret_user, gid_t *ret_group)
{
    const struct passwd *user = getpwnam(name);
    unsigned id = 0;
    bool found = user || read_id(name, &id);
    if (found && !user)
        user = getpwuid(id);
    if (found) {
        *ret_user = user ? user->pw_uid : id;
        *ret_group = user ? user->pw_gid : id;
    }
    return found;
}

bool process_has_user(const char *name)
{
    uid_t user;
    gid_t group;
    return find_user(name, &user, &group);
}

bool process_has_group(const char *name)
{
    gid_t group;
    return listening_read_group(name, &group);
}

/* Whether the rights of before cannot be had again. */
static int become(uid_t user, gid_t group)
{
    if (setgroups(1, &group) || setresgid(group, group, group) || setresuid(user, user, user))
        return -errno;
    return user && !setuid(0) ? -EPERM : 0;
}

/* The user and the group that the configuration wants; those of the process where it wants none. */
static void find_wanted(const struct config *config, uid_t *ret_user, gid_t *ret_group)
{
    *ret_user = getuid();
    *ret_group = getgid();
    if (config->user)
        (void)find_user(config->user, ret_user, ret_group);
    if (config->group)
        (void)listening_read_group(config->group, ret_group);
}

/* A process that was started as the wanted user keeps its other groups: whoever started it has
 * given it these on purpose, and only root can give them up. */
bool process_changes_user(const struct config *config)
{
    uid_t user, real, effective, saved;
    gid_t group, real_group, effective_group, saved_group;
    find_wanted(config, &user, &group);
    if (!user || getresuid(&real, &effective, &saved) ||
        getresgid(&real_group, &effective_group, &saved_group))
        return config->user || config->group;
    return user != real || user != effective || user != saved || group != real_group ||
           group != effective_group || group != saved_group;
}

int process_become(const struct config *config)
{
    uid_t user;
    gid_t group;
    if (!process_changes_user(config))
        return 0;
    find_wanted(config, &user, &group);
    int result = become(user, group);
    if (result)
        fprintf(stderr,
                "freshet serve: cannot become user %u and group %u: %s. This is user %u and group "
                "%u: start it as root, or as that user with that group, or leave out `user` and "
                "`group`\n",
                (unsigned)user, (unsigned)group, strerror(-result), (unsigned)getuid(),
                (unsigned)getgid());
    return result;
}

/* ---- Landlock -------------------------------------------------------------------------------- */

/* Every right to change a file system, of the first version of the interface; later kernels know
 * more, and refuse none of these. Reads stay free: certificates, authorities and secrets of the
 * configuration lie anywhere. */
static const uint64_t write_rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                                     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                                     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

static const uint64_t execute_right = LANDLOCK_ACCESS_FS_EXECUTE;

/* The right to cut files off by their name; from version 3 on. */
enum { TRUNCATE_RIGHT = 1 << 14, TRUNCATE_VERSION = 3 };

static uint64_t writes_of(long version)
{
    return write_rights | (version >= TRUNCATE_VERSION ? TRUNCATE_RIGHT : 0);
}

/* The rules of Landlock while they are made. */
struct folders {
    int rules;
    uint64_t writes;
};

static int allow_writes(const struct folders *folders, const char *folder)
{
    struct landlock_path_beneath_attr below = {.allowed_access = folders->writes};
    below.parent_fd = open(folder, O_PATH | O_CLOEXEC);
    if (below.parent_fd < 0)
        return -errno;
    long result =
        syscall(SYS_landlock_add_rule, folders->rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0);
    result = result ? -errno : 0;
    close(below.parent_fd);
    return (int)result;
}

static int allow_sockets(const struct folders *folders, const struct listening *listening)
{
    int result = 0;
    for (unsigned i = 0; !result && i < listening->count; i++) {
        char path[120];
        if (!listen_is_unix(&listening->addresses[i]) || listening->addresses[i].passed)
            continue;
        (void)snprintf(path, sizeof(path), "%s", unix_path(&listening->addresses[i].at));
        result = allow_writes(folders, dirname(path));
    }
    return result;
}

/* Without its folder the server does not start. The log finds out why, for which the folder above
 * must be open to it, and Landlock stays on. */
static void allow_data(const struct folders *folders, const char *data)
{
    char above[PATH_MAX];
    (void)mkdir(data, 0700);
    if (!allow_writes(folders, data))
        return;
    (void)snprintf(above, sizeof(above), "%s", data);
    (void)allow_writes(folders, dirname(above));
}

/* The folders that are not there are nobody's to write to. */
static int allow_folders(const struct folders *folders, const struct config *config,
                         const char *data)
{
    static const char *const passing[] = {"/tmp", "/var/tmp", "/dev"};
    const char *own = environment("TMPDIR");
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        (void)allow_writes(folders, passing[i]);
    if (own)
        (void)allow_writes(folders, own);
    if (data)
        allow_data(folders, data);
    return allow_sockets(folders, &config->listening);
}

/* The version of the kernel's interface that is in force; 0: none. */
static int confine_files(const struct config *config, const char *data)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return 0;
    struct folders folders = {.writes = writes_of(version)};
    struct landlock_ruleset_attr all = {.handled_access_fs = folders.writes | execute_right};
    folders.rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
    if (folders.rules < 0)
        return 0;
    bool in_force = !allow_folders(&folders, config, data) &&
                    !syscall(SYS_landlock_restrict_self, folders.rules, 0);
    close(folders.rules);
    return in_force ? (int)version : 0;
}

/* ---- seccomp --------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(OWN_ARCH) && !defined(IS_SANITIZED)

/* Calls that no part of the server makes. A list of what is allowed would have to know each call of
 * each release of libc, OpenSSL, SQLite and libcurl; an intruder needs some of these. */
static const uint32_t denied[] = {
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_process_madvise,
    SYS_pidfd_getfd,
    SYS_kcmp,
    SYS_mount,
    SYS_umount2,
    SYS_open_tree,
    SYS_move_mount,
    SYS_mount_setattr,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_unshare,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_userfaultfd,
    SYS_swapon,
    SYS_swapoff,
    SYS_reboot,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_quotactl,
    SYS_acct,
    SYS_open_by_handle_at,
    SYS_personality,
    SYS_setuid,
    SYS_setgid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setgroups,
    SYS_setfsuid,
    SYS_setfsgid,
};

enum { DENIED = sizeof(denied) / sizeof(denied[0]), HEAD = 5, TAIL = 2 };

/* Numbers from here on are those of x32 on x86-64, where each call has a second one; elsewhere no
 * call has so high a number. */
#define FOREIGN_CALLS 0x40000000

/* Calls of another architecture's numbers would pass the list: they end the process, and those of
 * x32 fail. */
static bool confine_calls(void)
{
    struct sock_filter filter[HEAD + DENIED + TAIL] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FOREIGN_CALLS, DENIED + 1, 0),
    };
    for (unsigned i = 0; i < DENIED; i++)
        filter[HEAD + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denied[i],
                                                        (uint8_t)(DENIED - i), 0);
    filter[HEAD + DENIED] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[HEAD + DENIED + 1] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog program = {.len = HEAD + DENIED + TAIL, .filter = filter};
    return !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

#else

/* The leak check of a sanitizer traces its own process. */
static bool confine_calls(void)
{
    return false;
}

#endif

/* ---- the whole ------------------------------------------------------------------------------- */

/* The leak check of a sanitizer reads its own process, which this forbids. */
static bool forbid_core_files(void)
{
#ifdef IS_SANITIZED
    return false;
#else
    return !prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

void process_confine(const struct config *config, const char *data)
{
    bool on = !config->no_sandbox;
    bool bound = on && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    bool dumps = !on || !forbid_core_files();
    int landlock = bound ? confine_files(config, data) : 0;
    bool seccomp = bound && confine_calls();
    say(SAY_INFO, "confined", "user=%u no_new_privileges=%s core_files=%s landlock=%d seccomp=%s",
        (unsigned)getuid(), bound ? "true" : "false", dumps ? "true" : "false", landlock,
        seccomp ? "true" : "false");
}

/* ---- files ----------------------------------------------------------------------------------- */

static void warn_of(const char *path, const char *holds)
{
    struct stat at;
    char quoted[200];
    if (!path || stat(path, &at) || !(at.st_mode & 04))
        return;
    say(SAY_WARN, "secret_readable", "path=%s mode=%03o holds=\"%s\" right=\"chmod o-rwx\"",
        say_quote(quoted, sizeof(quoted), path, strlen(path)), (unsigned)(at.st_mode & 0777),
        holds);
}

/* NULL for a file that stands in the list before: several keys may name one. */
static const char *secret_file(const struct config *config, size_t nth)
{
    const char *path, *other;
    memcpy(&path, config->secret_files.at + nth * sizeof(path), sizeof(path));
    for (size_t i = 0; i < nth; i++) {
        memcpy(&other, config->secret_files.at + i * sizeof(other), sizeof(other));
        if (strcmp(path, other) == 0)
            return NULL;
    }
    return path;
}

void process_warn_of_data(const char *data)
{
    struct stat at;
    char quoted[200];
    if (!data || stat(data, &at) || !(at.st_mode & 02))
        return;
    say(SAY_WARN, "data_writable", "path=%s mode=%03o right=\"chmod o-rwx\"",
        say_quote(quoted, sizeof(quoted), data, strlen(data)), (unsigned)(at.st_mode & 0777));
}

void process_warn(const struct config *config)
{
    for (size_t i = 0; i < config->tls.pairs_count; i++)
        warn_of(config->tls.pairs[i].key, "the private key of a certificate");
    warn_of(config->webhook_key_file, "the private key of webhooks");
    for (size_t i = 0; i < config->secret_files.len / sizeof(const char *); i++)
        warn_of(secret_file(config, i), "a secret of the configuration");
    for (size_t i = 0; i < config->token_key_files_count; i++)
        warn_of(config->token_key_files[i], "a key that signs tokens");
    if (config->file &&
        (config->issuers.count || config->authorizers_count || config->sources_count))
        warn_of(config->path, "secrets, perhaps");
}
