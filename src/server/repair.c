#include "server/repair.h"

#include "base/command_line.h"
#include "base/mem.h"
#include "client/cli/output.h"
#include "webhooks/progress/registry.h"
#include "log/store/sqlite/repair.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char repair_help[] =
    "Usage: freshet repair DIR [--dry-run]\n\n"
    "Checks every file in the data folder DIR of a server that is stopped. A damaged file is set\n"
    "aside, into DIR/damaged; what can be read of it is kept, and what can be made anew is. Says\n"
    "what was lost; readers who have not read beyond that are told of a gap once the server runs\n"
    "again. Deletes nothing, and never runs by itself. Take a copy of DIR first. Root does the "
    "work\n"
    "as the owner of DIR.\n\n"
    "  --dry-run  only say what would be done\n\n"
    "Exit codes: 0 nothing was lost, 1 something was, as standard output says, 2 it could not be\n"
    "done, as standard error says.\n";

enum { EXIT_WHOLE = 0, EXIT_LOST = 1, EXIT_CANNOT = 2 };

/* ---- the user of the folder ------------------------------------------------------------------ */

/* Root may read and write everything, and the user whose server it is may change the folder while
 * it is repaired: exchange a file for a symbolic link, or put SQL into the schema of state.db. So
 * root becomes that user for good, and can be led to nothing that the user could not reach. */
struct user {
    uid_t uid;
    gid_t gid;
    char name[64]; /* empty if nobody knows it */
};

/* Finds the user by the folder; if that is root's, by the lock that the server has left in it. */
static bool find_user(const char *dir, struct user *user)
{
    struct stat info, lock;
    char path[PATH_MAX];
    *user = (struct user){.uid = 0};
    if (stat(dir, &info))
        return false; /* repair_folder() says why */
    snprintf(path, sizeof(path), "%s/lock", dir);
    if (info.st_uid == 0 && lstat(path, &lock) == 0)
        info = lock;
    user->uid = info.st_uid;
    user->gid = info.st_gid;
    return user->uid != 0;
}

/* A user that is known has all of its groups, another one only that of the folder. */
static int become(struct user *user)
{
    const struct passwd *entry = getpwuid(user->uid);
    if (entry) {
        snprintf(user->name, sizeof(user->name), "%s", entry->pw_name);
        user->gid = entry->pw_gid;
    }
    if (entry ? initgroups(user->name, user->gid) : setgroups(0, NULL))
        return -errno;
    if (setresgid(user->gid, user->gid, user->gid) || setresuid(user->uid, user->uid, user->uid))
        return -errno;
    return 0;
}

static void complain(const char *dir, const struct user *user, int error)
{
    char number[32];
    snprintf(number, sizeof(number), "'#%u'", (unsigned)user->uid);
    fprintf(
        stderr,
        "freshet repair: %s cannot be repaired by root as its owner, user %u: %s. Run it as that "
        "user (sudo -u %s freshet repair %s), or, for a unit with DynamicUser=, in one like it: "
        "docs/operations.md says how\n",
        dir, (unsigned)user->uid, strerror(-error), user->name[0] ? user->name : number, dir);
}

/* A folder above may be closed to the owner, as /var/lib/private is. */
static int become_owner(const char *dir)
{
    struct user user;
    if (geteuid() != 0 || !find_user(dir, &user))
        return 0;
    int result = become(&user);
    if (!result && access(dir, X_OK))
        result = -errno;
    if (result)
        complain(dir, &user, result);
    return result;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int explain(const struct trouble *trouble, const char *dir, int error)
{
    struct buf text = {0};
    trouble_add(&text, trouble, dir);
    if (buf_failed(&text))
        fprintf(stderr, "freshet repair: %s: %s\n", dir, strerror(-error));
    else
        fprintf(stderr, "freshet repair: %.*s\n", STR_FMT(buf_str(&text)));
    buf_free(&text);
    return EXIT_CANNOT;
}

static int run(const char *dir, bool dry_run)
{
    struct progress progress;
    struct trouble trouble;
    struct buf report = {0};
    if (become_owner(dir))
        return EXIT_CANNOT;
    progress_init(&progress, "freshet repair", clock_system(), progress_terminal());
    const struct repair_config config = {.dir = dir,
                                         .dry_run = dry_run,
                                         .clock = clock_system(),
                                         .progress = &progress,
                                         .known_webhooks = REGISTRY_VERSION};
    int result = repair_folder(&config, &trouble, &report);
    progress_end(&progress);
    int written = output_write("freshet repair", buf_str(&report));
    bool is_whole = !buf_failed(&report);
    buf_free(&report);
    if (result < 0)
        return explain(&trouble, dir, result);
    if (!is_whole)
        fprintf(stderr, "freshet repair: there is no memory to say all that was done\n");
    return written || !is_whole ? EXIT_CANNOT : result == REPAIR_LOST ? EXIT_LOST : EXIT_WHOLE;
}

int repair_main(int argc, char **argv)
{
    bool dry_run = false;
    struct buf why = {0};
    struct command_list dirs = {.at = mem_alloc((size_t)argc * sizeof(char *))};
    const struct command_option options[] = {{.name = "dry-run", .flag = &dry_run}};
    int result = command_line_read(argc, argv, options, 1, &dirs, &why);
    if (!result && dirs.count != 1) {
        buf_add_str(&why, dirs.count ? STR("one folder at a time") : STR("which folder?"));
        result = -EINVAL;
    }
    int code = result ? command_line_end(result, "freshet repair", &why, repair_help,
                                         "Try: freshet help repair\n")
                      : run(dirs.at[0], dry_run);
    buf_free(&why);
    free(dirs.at);
    return code;
}
