/*
 * The cheapest worker that can say when it came to life, so that the supervisor is what is measured.
 *
 *   worker FILE SLOT                    append {monotonic ns, pid, slot} to FILE, then wait for a signal
 *   worker FILE SLOT BLOCK BUDGET GO    the same, then, once the file GO exists, write BUDGET bytes of
 *                                       100-byte lines to stdout in blocks of at most BLOCK bytes
 *   worker FILE spawn COUNT             start COUNT workers with posix_spawn: as fast as it can be done
 *
 * FILE must exist: a worker that outlived its run must not bring it back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100, CANNOT_RUN = 111 };

extern char **environ;

struct start {
    int64_t ns;
    int32_t pid;
    int32_t slot;
};

static void announce(const char *file, int slot)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct start start = {(int64_t)now.tv_sec * 1000000000 + now.tv_nsec, getpid(), slot};
    int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
    /* One write of an append-mode file is not split, however many workers start at once. */
    if (fd < 0 || write(fd, &start, sizeof start) != (ssize_t)sizeof start)
        _exit(CANNOT_RUN);
    close(fd);
}

static void write_lines(size_t block, long long budget, const char *go)
{
    size_t lines = block / LINE ? block / LINE : 1, size = lines * LINE;
    char *text = malloc(size);
    if (text == NULL)
        _exit(CANNOT_RUN);
    for (size_t at = 0; at < size; at++)
        text[at] = at % LINE == LINE - 1 ? '\n' : (char)('a' + at % 26);
    while (access(go, F_OK) != 0)
        usleep(2000);
    for (; budget > 0; budget -= (long long)size)
        for (size_t done = 0; done < size;) {
            ssize_t wrote = write(STDOUT_FILENO, text + done, size - done);
            if (wrote < 0 && errno != EINTR)
                _exit(CANNOT_RUN);
            done += wrote > 0 ? (size_t)wrote : 0;
        }
}

static void spawn_workers(char *self, char *file, int count)
{
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    /* Supervisors give every worker a session of its own. */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    for (int slot = 0; slot < count; slot++) {
        char number[16];
        snprintf(number, sizeof number, "%d", slot);
        char *arguments[] = {self, file, number, NULL};
        pid_t pid;
        if (posix_spawn(&pid, self, NULL, &attributes, arguments, environ) != 0)
            _exit(CANNOT_RUN);
    }
}

int main(int count, char **arguments)
{
    if (count < 3)
        return 100;
    if (count == 4 && strcmp(arguments[2], "spawn") == 0) {
        spawn_workers(arguments[0], arguments[1], atoi(arguments[3]));
    } else {
        announce(arguments[1], atoi(arguments[2]));
        if (count == 6)
            write_lines((size_t)atol(arguments[3]), atoll(arguments[4]), arguments[5]);
    }
    for (;;)
        pause();
}
