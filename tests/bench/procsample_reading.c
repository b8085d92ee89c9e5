/* SPDX-License-Identifier: MIT
 * What procsample --light does at 1000 Hz for a sample of one process, N times without waiting in
 * between: reading (status and io every tenth time), parsing, summing up, both rows, one write.
 * Compared with by procsample.py.
 *
 *   procsample_reading PID N FILE
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "procmeter.h"
#include "rows.h"
#include "total.h"

int main(int argc, char **argv) {
    struct meter_reading r;
    struct meter_host host;
    struct total total = {0};
    struct rows_memo memo = {0};
    struct procmeter *meter;
    struct buf text = {0};
    int out;

    if (argc != 4)
        return 2;
    meter_host_open(&host, "/proc");
    meter = meter_open(&host, (pid_t)atol(argv[1]));
    out = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!meter || out < 0)
        return 3;
    for (long k = 0, n = atol(argv[2]); k < n; k++) {
        total_begin(&total);
        total_add(&total, meter_read(meter, METER_STAT_RSS | (k % 10 ? 0 : METER_DETAIL), &r), &r);
        total_end(&total);
        text.len = 0;
        rows_process(&text, &memo, (uint64_t)k * 1000000, meter_id(meter), r.comm, true, &r);
        rows_total(&text, &memo, (uint64_t)k * 1000000, 1, &total.sum);
        if (write(out, text.data, text.len) != (ssize_t)text.len)
            return 3;
    }
    return 0;
}
