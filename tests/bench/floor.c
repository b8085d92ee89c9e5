/* SPDX-License-Identifier: MIT
 * The least that sampling costs on this machine: wakes N times at RATE Hz, reads the four sources
 * of the light fields into the void (status and io every tenth time), and writes as much as
 * procsample does. No parsing. Compared with by procsample.py; waking alone also by pysample.py.
 *
 *   floor PID N RATE FILE      (PID 0: only wakes up; RATE 0: without waiting)
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static const char *const name[] = {"stat", "status", "io", "fd"};
    static char text[16384];
    struct timespec start;
    struct stat st;
    char path[64];
    int fd[4], out;

    if (argc != 5)
        return 2;
    for (int i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof(path), "/proc/%s/%s", argv[1], name[i]);
        fd[i] = open(path, O_RDONLY);
    }
    out = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    for (long k = 0, n = atol(argv[2]); k < n; k++) {
        double rate = atof(argv[3]);
        long long ns = start.tv_nsec + (rate > 0 ? (long long)((double)k * 1e9 / rate) : 0);
        struct timespec at = {.tv_sec = start.tv_sec + ns / 1000000000, .tv_nsec = ns % 1000000000};

        if (rate > 0)
            (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        if (argv[1][0] == '0')
            continue;
        for (int i = 0; i < (k % 10 ? 1 : 3); i++) {
            if (pread(fd[i], text, sizeof(text), 0) <= 0)
                return 3;
        }
        if (fstat(fd[3], &st) != 0 || write(out, text, 280) != 280)
            return 3;
    }
    return 0;
}
