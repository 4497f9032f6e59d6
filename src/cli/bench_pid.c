/* /proc/net/tcp names the inode of the listening socket; the process is the one that has it open. */
#include "cli/bench_pid.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATE_LISTEN = 0x0a, COLUMN_LOCAL = 1, COLUMN_STATE = 3, COLUMN_INODE = 9 };

/* A line's inode when it is a socket that listens on that port, else 0. The columns: number, local, remote,
 * state... */
static unsigned long long inode_of_line(char *line, uint16_t port)
{
    char *rest, *columns[COLUMN_INODE + 1] = {NULL};
    int count = 0;
    for (char *at = strtok_r(line, " \n", &rest); at != NULL && count <= COLUMN_INODE;
         at = strtok_r(NULL, " \n", &rest))
        columns[count++] = at;
    const char *colon = count > COLUMN_INODE ? strchr(columns[COLUMN_LOCAL], ':') : NULL;
    if (colon == NULL || strtoul(colon + 1, NULL, 16) != port ||
        strtoul(columns[COLUMN_STATE], NULL, 16) != STATE_LISTEN)
        return 0;
    return strtoull(columns[COLUMN_INODE], NULL, 10);
}

static unsigned long long inode_in(const char *table, uint16_t port)
{
    char line[512];
    unsigned long long found = 0;
    FILE *file = fopen(table, "re");
    if (file == NULL)
        return 0;
    while (found == 0 && fgets(line, sizeof(line), file) != NULL)
        found = inode_of_line(line, port);
    fclose(file);
    return found;
}

static int has_open(const char *pid, const char *target)
{
    char path[300], link[600], is[128];
    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    struct dirent *entry;
    int is_found = 0;
    while (dir != NULL && !is_found && (entry = readdir(dir)) != NULL) {
        snprintf(link, sizeof(link), "%s/%s", path, entry->d_name);
        ssize_t len = readlink(link, is, sizeof(is) - 1);
        if (len > 0) {
            is[len] = '\0';
            is_found = strcmp(is, target) == 0;
        }
    }
    if (dir != NULL)
        closedir(dir);
    return is_found;
}

uint64_t rc_bench_pid_of_port(uint16_t port)
{
    char target[64];
    uint64_t pid = 0;
    unsigned long long inode = inode_in("/proc/net/tcp", port);
    if (inode == 0)
        inode = inode_in("/proc/net/tcp6", port);
    if (inode == 0)
        return 0;
    snprintf(target, sizeof(target), "socket:[%llu]", inode);
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc != NULL && pid == 0 && (entry = readdir(proc)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) && has_open(entry->d_name, target))
            pid = strtoull(entry->d_name, NULL, 10);
    }
    if (proc != NULL)
        closedir(proc);
    return pid;
}
